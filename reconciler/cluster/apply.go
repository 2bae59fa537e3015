package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A standing is how a live object compares with what is wanted.
type standing int

const (
	absent  standing = iota
	differs          // another content was applied last
	drifted          // the wanted content was applied and somebody changed it
	inPlace
)

// compare needs no request and no body of the live object.
func (c *Cluster) compare(w *wanted, l *live) standing {
	sent, _ := c.sent.Load(w.id)
	switch {
	case w.asIs && l != nil && l.DeletionTimestamp == nil:
		return inPlace
	case l == nil && sent == w.hash:
		return drifted
	case l == nil:
		return absent
	case l.Annotations[annotationApplied] != w.hash && sent == w.hash:
		return drifted // somebody changed even the mark
	case l.Annotations[annotationApplied] != w.hash:
		return differs
	}
	mark := l.ResourceVersion + "/" + w.hash
	if known, ok := c.verified.Load(w.id); ok && known == mark {
		return inPlace
	}
	if owned(l.fields, w.object.Object) || c.keptAll(w, l) {
		c.verified.Store(w.id, mark)
		return inPlace
	}
	return drifted
}

// keptAll reports whether our entry is as the API server made it of our own
// apply. It decides where the server keeps less than what was sent, as it does
// with fields that a kind's own logic drops.
func (c *Cluster) keptAll(w *wanted, l *live) bool {
	known, ok := c.kept.Load(w.id)
	return ok && known == keptMark(w, l)
}

func keptMark(w *wanted, l *live) string {
	h := fnv.New64a()
	h.Write(l.fields)
	return w.hash + "/" + string(l.UID) + "/" + strconv.FormatUint(h.Sum64(), 16)
}

// apply brings one object in place with at most one request.
func (c *Cluster) apply(ctx context.Context, p *pass, w *wanted) error {
	l := p.seen[w.id]
	if c.lapsed(l) && l.DeletionTimestamp == nil {
		var err error
		if l, err = c.lift(ctx, w, l); err != nil {
			return refine(w, err)
		}
	}
	standing := c.compare(w, l)
	switch {
	case standing == inPlace:
		return nil
	case standing == drifted && c.excepted(l):
		c.logException(w, l)
		return nil
	case l != nil && l.DeletionTimestamp != nil:
		return fmt.Errorf("apply %s: it is being deleted", w.id)
	case standing == drifted && c.contests.exhausted(w.id, c.now()):
		return nil // contested: Observe reports it
	}
	applied, err := c.patch(ctx, w, l)
	if apierrors.IsInvalid(err) && l != nil {
		applied, err = c.makeRoom(ctx, w, l, err)
	}
	if err != nil {
		return refine(w, err)
	}
	if standing == drifted {
		c.contests.spend(w.id, c.now())
		c.logDrift(w, l)
	}
	c.watches.remember(applied, c.now())
	c.sent.Store(w.id, w.hash)
	if !owned(applied.fields, w.object.Object) {
		c.kept.Store(w.id, keptMark(w, applied))
	}
	return nil
}

func (c *Cluster) logDrift(w *wanted, l *live) {
	if l == nil {
		c.log.Info("drift reverted", "object", w.id.String(), "reason", "it was deleted")
		return
	}
	c.log.Info("drift reverted", "object", w.id.String(), "manager", l.last.manager, "changed", l.last.at)
}

// patch is the one request. What is not known to be Sluice's is not taken by
// force: should it exist and be managed by somebody, the API server says so.
func (c *Cluster) patch(ctx context.Context, w *wanted, l *live) (*live, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resource, err := c.resource(w.object.GroupVersionKind(), w.id.Namespace)
	if err != nil {
		return nil, err
	}
	object := w.object
	if w.fenced && l != nil {
		object = object.DeepCopy()
		object.SetResourceVersion(l.ResourceVersion)
	}
	body, err := json.Marshal(object.Object)
	if err != nil {
		return nil, err
	}
	force := l != nil || w.revision == ""
	answer, err := resource.Patch(ctx, w.id.Name, types.ApplyPatchType, body, metav1.PatchOptions{
		FieldManager:    fieldManager,
		FieldValidation: metav1.FieldValidationStrict,
		Force:           &force,
	})
	if err != nil {
		return nil, err
	}
	return digest(answer)
}

// refine says what an answer of the API server means.
func refine(w *wanted, err error) error {
	switch {
	case apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict):
		err = errors.Join(ErrRefused, fmt.Errorf("it exists and is not Sluice's; delete it or rename it: %w", err))
	case apierrors.IsConflict(err):
		err = errors.Join(ErrStale, err)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err), misspelt(err):
		err = errors.Join(ErrRejected, err)
	}
	return fmt.Errorf("apply %s: %w", w.id, err)
}

// misspelt reports a field that the kind does not have. The API server answers
// with code 500 and only the text tells it from trouble of its own.
func misspelt(err error) bool {
	return strings.Contains(err.Error(), "field not declared in schema")
}
