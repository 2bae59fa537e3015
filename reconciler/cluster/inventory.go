package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-cd/sluice/reconciler/release"
)

// inventorySchema is the version of the stored form.
const inventorySchema = 1

// An entry is one object that Sluice has applied or is about to apply.
type entry struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
	UID        string `json:"uid,omitempty"` // "" until it was seen in the cluster
	Revision   string `json:"revision,omitempty"`
	// Former was adopted, and is deleted once its revision has taken over.
	Former  bool `json:"former,omitempty"`
	Adopted bool `json:"adopted,omitempty"` // it was there before Sluice and is never deleted
}

func (e entry) gvk() schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind(e.APIVersion, e.Kind)
}

func (e entry) identity() identity {
	return identity{e.gvk().Group, e.Kind, e.Namespace, e.Name}
}

// An inventory lists what a release has in the cluster. It is the only source
// of deletions: an object that was never in it is never deleted.
type inventory struct {
	version string // of the stored document; "" when there is none
	entries map[identity]entry
}

type storedInventory struct {
	Schema  int     `json:"schema"`
	Objects []entry `json:"objects"`
}

func decodeInventory(data []byte) (map[identity]entry, error) {
	var stored storedInventory
	if err := json.Unmarshal(data, &stored); err != nil {
		return nil, err
	}
	if stored.Schema != inventorySchema {
		return nil, fmt.Errorf("schema %d is not %d", stored.Schema, inventorySchema)
	}
	entries := make(map[identity]entry, len(stored.Objects))
	for _, e := range stored.Objects {
		entries[e.identity()] = e
	}
	return entries, nil
}

func encodeInventory(entries map[identity]entry) ([]byte, error) {
	stored := storedInventory{Schema: inventorySchema, Objects: make([]entry, 0, len(entries))}
	for _, e := range entries {
		stored.Objects = append(stored.Objects, e)
	}
	slices.SortFunc(stored.Objects, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.APIVersion, b.APIVersion), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return json.Marshal(stored)
}

// union is the inventory with everything wanted in it, and with the UIDs that
// are known by now; false when that is stored already.
func (i inventory) union(objects []*wanted, seen map[identity]*live) (map[identity]entry, bool) {
	entries := make(map[identity]entry, len(i.entries)+len(objects))
	changed := i.version == "" && len(i.entries) > 0 // made again, and so far only in memory
	for id, e := range i.entries {
		entries[id] = e
	}
	for _, w := range objects {
		e := w.entry()
		if l := seen[w.id]; l != nil {
			e.UID = string(l.UID)
		} else if old, ok := i.entries[w.id]; ok {
			e.UID = old.UID
		}
		if i.entries[w.id] != e {
			entries[w.id], changed = e, true
		}
	}
	return entries, changed
}

// adopted lists what was there before Sluice.
func (i inventory) adopted() map[identity]bool {
	adopted := map[identity]bool{}
	for id, e := range i.entries {
		if e.Adopted {
			adopted[id] = true
		}
	}
	return adopted
}

func inventoryName(key release.Key) string { return labelOf(key) + ".inventory" }

// inventory returns the release's inventory from memory or, the first time and
// after a conflict, from the API server. When the document is gone (somebody
// deleted Sluice's namespace) it is made again from the objects that carry the
// release's label and Sluice's own applies.
func (c *Cluster) inventory(ctx context.Context, key release.Key, seen map[identity]*live) (inventory, error) {
	if known, ok := c.inventories.Load(key); ok {
		return known.(inventory), nil
	}
	data, version, err := c.Load(ctx, inventoryName(key))
	switch {
	case errors.Is(err, ErrNotFound):
		return inventory{entries: rebuilt(key, seen)}, nil
	case err != nil:
		return inventory{}, err
	}
	entries, err := decodeInventory(data)
	if err != nil {
		return inventory{}, fmt.Errorf("read %s: %w", inventoryName(key), err)
	}
	loaded := inventory{version: version, entries: entries}
	c.inventories.Store(key, loaded)
	return loaded, nil
}

func rebuilt(key release.Key, seen map[identity]*live) map[identity]entry {
	entries := map[identity]entry{}
	for id, l := range seen {
		if l.fields == nil || l.Annotations[annotationApplied] == "" {
			continue
		}
		entries[id] = entry{
			APIVersion: l.APIVersion, Kind: l.Kind, Namespace: l.Namespace, Name: l.Name,
			UID: string(l.UID), Revision: l.revision(), Adopted: l.adoptedBy(key),
		}
	}
	return entries
}

func (c *Cluster) saveInventory(ctx context.Context, key release.Key, version string, entries map[identity]entry) (inventory, error) {
	data, err := encodeInventory(entries)
	if err != nil {
		return inventory{}, fmt.Errorf("write inventory of %s: %w", key, err)
	}
	c.inventories.Delete(key) // until the outcome is known
	saved, err := c.save(ctx, inventoryName(key), kindInventory, data, version)
	if err != nil {
		return inventory{}, err
	}
	i := inventory{version: saved, entries: entries}
	c.inventories.Store(key, i)
	return i, nil
}

// wanted is one object as it should be.
type wanted struct {
	id       identity
	object   *unstructured.Unstructured
	revision string // "" for shared objects
	stage    stage
	hash     string
	// fenced objects decide about traffic or size: they are written only over
	// the version that was read.
	fenced bool
	// asIs objects are only applied where they are missing.
	asIs bool
	// adopted objects were there before Sluice.
	adopted bool
}

func (w *wanted) entry() entry {
	return entry{
		APIVersion: w.object.GetAPIVersion(), Kind: w.id.Kind,
		Namespace: w.id.Namespace, Name: w.id.Name, Revision: w.revision, Adopted: w.adopted,
	}
}
