package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// What a person writes on an object to keep a change of it in an emergency.
const (
	annotationBreakGlass      = domain + "break-glass"       // the incident
	annotationBreakGlassUntil = domain + "break-glass-until" // the end, RFC 3339
)

// exceptionLimit is the longest that an exception lasts after it was written.
const exceptionLimit = 4 * time.Hour

// An exception keeps a person's change of an object until its end.
type exception struct {
	incident string
	until    time.Time
	manager  string // the field manager that wrote the end
}

// readException is nil for an object without one, and for one whose exception
// came with the manifests: nobody declared that.
func readException(u *unstructured.Unstructured) *exception {
	annotations := u.GetAnnotations()
	incident := annotations[annotationBreakGlass]
	until, err := time.Parse(time.RFC3339, annotations[annotationBreakGlassUntil])
	if incident == "" || err != nil {
		return nil
	}
	writers := slices.DeleteFunc(slices.Clone(u.GetManagedFields()), func(e metav1.ManagedFieldsEntry) bool {
		return e.Time == nil || !writesEnd(e)
	})
	if len(writers) == 0 {
		return nil
	}
	for _, e := range writers {
		if e.Manager == fieldManager {
			return nil
		}
		if limit := e.Time.Add(exceptionLimit); until.After(limit) {
			until = limit
		}
	}
	return &exception{incident: incident, until: until, manager: writers[0].Manager}
}

func writesEnd(e metav1.ManagedFieldsEntry) bool {
	var fields struct {
		Metadata struct {
			Annotations map[string]json.RawMessage `json:"f:annotations"`
		} `json:"f:metadata"`
	}
	if e.FieldsV1 == nil || json.Unmarshal(e.FieldsV1.GetRawBytes(), &fields) != nil {
		return false
	}
	_, writes := fields.Metadata.Annotations["f:"+annotationBreakGlassUntil]
	return writes
}

// excepted reports an object that stays as a person changed it for now.
func (c *Cluster) excepted(l *live) bool {
	return c.breakGlass && l != nil && l.exception != nil && c.now().Before(l.exception.until)
}

// lapsed reports an object whose exception has ended and is still written on it.
func (c *Cluster) lapsed(l *live) bool {
	return c.breakGlass && l != nil && l.exception != nil && !c.excepted(l)
}

// lift takes an exception that has ended off its object, so that nobody changes
// or deletes it under that one again. What was changed is put right by the apply
// that follows.
func (c *Cluster) lift(ctx context.Context, w *wanted, l *live) (*live, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resource, err := c.resource(w.object.GroupVersionKind(), w.id.Namespace)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": l.ResourceVersion,
		"annotations":     map[string]any{annotationBreakGlass: nil, annotationBreakGlassUntil: nil},
	}})
	if err != nil {
		return nil, err
	}
	answer, err := resource.Patch(ctx, w.id.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil {
		return nil, fmt.Errorf("end the exception of %s: %w", w.id, err)
	}
	c.log.Warn("exception ended", "object", w.id.String(), "incident", l.exception.incident, "until", l.exception.until)
	lifted, err := digest(answer)
	if err != nil {
		return nil, err
	}
	c.watches.remember(lifted, c.now())
	return lifted, nil
}

// logException tells once of each exception that keeps Sluice from correcting an object.
func (c *Cluster) logException(w *wanted, l *live) {
	if told, ok := c.told.Swap(w.id, *l.exception); !ok || told != *l.exception {
		c.log.Warn("left as it was changed in an emergency", "object", w.id.String(), "incident", l.exception.incident,
			"until", l.exception.until, "manager", l.last.manager, "changed", l.last.at)
	}
}
