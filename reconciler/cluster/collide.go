package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Server-side apply leaves alone what others own, also where it cannot stand
// beside what is applied: a port that somebody renumbered is a second entry of the
// same name, and an environment variable's value cannot come from two places. The
// API server refuses both together, so what is in the way is made Sluice's own
// first. The apply then takes it out in the request that puts git's content back,
// so that callers never see the object without either.

// makeRoom repeats an apply that was refused as invalid, once what others own
// beside the missing fields is Sluice's to remove. Where nothing is, the refusal
// stands.
func (c *Cluster) makeRoom(ctx context.Context, w *wanted, l *live, refusal error) (*live, error) {
	object, err := c.ask(ctx, w.object, w.id)
	switch {
	case err != nil:
		return nil, errors.Join(refusal, err)
	case object == nil || object.GetResourceVersion() != l.ResourceVersion:
		return nil, fmt.Errorf("look for what stands in the way: %w", ErrStale)
	}
	entries, from, err := seize(object.GetManagedFields(), w.object.Object)
	if err != nil {
		return nil, errors.Join(refusal, err)
	}
	if len(from) == 0 {
		return nil, refusal
	}
	if l, err = c.reassign(ctx, w, l, entries); err != nil {
		return nil, err
	}
	c.log.Info("fields taken over", "object", w.id.String(), "from", strings.Join(from, ", "), "reason", refusal)
	return c.patch(ctx, w, l)
}

// reassign writes who owns which fields and no content.
func (c *Cluster) reassign(ctx context.Context, w *wanted, l *live, entries []metav1.ManagedFieldsEntry) (*live, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resource, err := c.resource(w.object.GroupVersionKind(), w.id.Namespace)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"resourceVersion": l.ResourceVersion, "managedFields": entries,
	}})
	if err != nil {
		return nil, err
	}
	answer, err := resource.Patch(ctx, w.id.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil {
		return nil, fmt.Errorf("take over fields: %w", err)
	}
	return digest(answer)
}

// seize moves what others own beside the fields that are missing from Sluice's
// entry into that entry. from names whom something was taken of. What came through
// a subresource, such as a status or an autoscaler's size, is no edit and stays.
func seize(entries []metav1.ManagedFieldsEntry, applied map[string]any) (left []metav1.ManagedFieldsEntry, from []string, err error) {
	at := slices.IndexFunc(entries, isOwn)
	if at < 0 {
		return entries, nil, nil
	}
	own, err := fieldsOf(entries[at])
	if err != nil {
		return nil, nil, err
	}
	places := missing(own, applied)
	for i, e := range entries {
		if i == at || e.Subresource != "" {
			left = append(left, e)
			continue
		}
		theirs, err := fieldsOf(e)
		if err != nil {
			return nil, nil, err
		}
		if take(own, theirs, places) {
			from = append(from, e.Manager)
		}
		if len(theirs) > 0 {
			left = append(left, withFields(e, theirs))
		}
	}
	return append(left, withFields(entries[at], own)), from, nil
}

func isOwn(e metav1.ManagedFieldsEntry) bool {
	return e.Manager == fieldManager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == ""
}

func fieldsOf(e metav1.ManagedFieldsEntry) (fields map[string]any, err error) {
	if e.FieldsV1 == nil {
		return map[string]any{}, nil
	}
	if err := json.Unmarshal(e.FieldsV1.GetRawBytes(), &fields); err != nil {
		return nil, fmt.Errorf("read the fields of %s: %w", e.Manager, err)
	}
	return fields, nil
}

func withFields(e metav1.ManagedFieldsEntry, fields map[string]any) metav1.ManagedFieldsEntry {
	raw, err := json.Marshal(fields)
	if err == nil { // always: it was read as JSON
		e.FieldsV1 = metav1.NewFieldsV1(string(raw))
	}
	return e
}

// missing lists where an entry lacks something of what is applied: the innermost
// fields around it that it still has.
func missing(entry map[string]any, applied map[string]any) (places [][]string) {
	for name, value := range applied {
		below, ok := entry["f:"+name].(map[string]any)
		if ok && name != "metadata" {
			places = append(places, missingBelow(below, value, []string{"f:" + name})...)
		}
	}
	return places
}

func missingBelow(fields map[string]any, value any, place []string) (places [][]string) {
	if len(fields) == 0 {
		return nil // owned as a whole
	}
	look := func(name string, child any) {
		below, ok := fields[name].(map[string]any)
		if !ok {
			places = append(places, place)
			return
		}
		places = append(places, missingBelow(below, child, append(slices.Clip(place), name))...)
	}
	switch v := value.(type) {
	case map[string]any:
		for name, child := range v {
			if !empty(child) {
				look("f:"+name, child)
			}
		}
	case []any:
		for _, element := range v {
			look(elementName(fields, element), element)
		}
	}
	return places
}

// elementName is the name of a list's element in an entry; "" when it has none.
func elementName(fields map[string]any, element any) string {
	for name := range fields {
		raw, isValue := strings.CutPrefix(name, "v:")
		if isValue && sameJSON(raw, element) {
			return name
		}
		if raw, isKey := strings.CutPrefix(name, "k:"); isKey && keyOf(raw, element) {
			return name
		}
	}
	return ""
}

// take moves what is at the places from one entry to another. A size that Sluice
// does not decide stays with whoever does: without an owner it would become 1.
func take(to, from map[string]any, places [][]string) (taken bool) {
	for _, place := range places {
		below, ok := at(from, place)
		if !ok {
			continue
		}
		replicas, sized := below["f:replicas"]
		delete(below, "f:replicas")
		if len(below) > 0 {
			graft(to, place, below)
			taken = true
		}
		cut(from, place)
		if sized {
			graft(from, place, map[string]any{"f:replicas": replicas})
		}
	}
	return taken
}

func at(fields map[string]any, place []string) (map[string]any, bool) {
	for _, name := range place {
		below, ok := fields[name].(map[string]any)
		if !ok {
			return nil, false
		}
		fields = below
	}
	return fields, true
}

// cut removes what is at a place, and the fields around it that are left empty: an
// empty field would be one that is owned as a whole.
func cut(fields map[string]any, place []string) {
	below, ok := fields[place[0]].(map[string]any)
	if ok && len(place) > 1 {
		cut(below, place[1:])
	}
	if len(place) == 1 || len(below) == 0 {
		delete(fields, place[0])
	}
}

// graft adds fields at a place to those that are there.
func graft(fields map[string]any, place []string, more map[string]any) {
	for _, name := range place {
		below, ok := fields[name].(map[string]any)
		if !ok {
			below = map[string]any{}
			fields[name] = below
		}
		fields = below
	}
	for name, value := range more {
		below, both := fields[name].(map[string]any)
		added, _ := value.(map[string]any)
		if !both {
			fields[name] = maps.Clone(added)
			continue
		}
		graft(below, nil, added)
	}
}
