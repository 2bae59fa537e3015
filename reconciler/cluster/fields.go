package cluster

import (
	"encoding/json"
	"strings"
)

// owned reports whether a managedFields entry (FieldsV1) still holds every
// field of what was applied. Server-side apply takes a field out of our entry
// as soon as anybody else changes or removes it, so an entry that is complete
// means that nothing was changed; values need no comparing (which would fail
// on defaults and on quantities written in another form).
func owned(fieldsV1 []byte, applied map[string]any) bool {
	var fields map[string]any
	if json.Unmarshal(fieldsV1, &fields) != nil {
		return false
	}
	for name, value := range applied {
		switch name {
		case "apiVersion", "kind":
			continue
		case "metadata":
			value = withoutIdentity(value)
		}
		if !ownedField(fields, name, value) {
			return false
		}
	}
	return true
}

// ownsReplicas reports whether the size of a workload is in a managedFields
// entry.
func ownsReplicas(fieldsV1 []byte) bool {
	var fields struct {
		Spec map[string]json.RawMessage `json:"f:spec"`
	}
	return json.Unmarshal(fieldsV1, &fields) == nil && fields.Spec["f:replicas"] != nil
}

// withoutIdentity drops what the server never records in managedFields.
func withoutIdentity(metadata any) any {
	all, ok := metadata.(map[string]any)
	if !ok {
		return metadata
	}
	kept := make(map[string]any, len(all))
	for name, value := range all {
		switch name {
		case "name", "namespace", "uid", "resourceVersion", "creationTimestamp":
		default:
			kept[name] = value
		}
	}
	return kept
}

func ownedField(fields map[string]any, name string, value any) bool {
	if empty(value) {
		return true
	}
	below, ok := fields["f:"+name].(map[string]any)
	return ok && ownedValue(below, value)
}

func ownedValue(fields map[string]any, value any) bool {
	if len(fields) == 0 { // a leaf, or an atomic map or list: owned as a whole
		return true
	}
	switch v := value.(type) {
	case map[string]any:
		for name, child := range v {
			if !ownedField(fields, name, child) {
				return false
			}
		}
	case []any:
		for _, element := range v {
			if !ownedElement(fields, element) {
				return false
			}
		}
	}
	return true
}

// ownedElement looks for the list entry, by key ("k:") or by value ("v:"),
// that is the element's. A key may hold more fields than the element: the
// server adds defaulted ones, such as a port's protocol.
func ownedElement(fields map[string]any, element any) bool {
	for path, below := range fields {
		children, ok := below.(map[string]any)
		if !ok {
			continue
		}
		if raw, isValue := strings.CutPrefix(path, "v:"); isValue && sameJSON(raw, element) {
			return true
		}
		if raw, isKey := strings.CutPrefix(path, "k:"); isKey && keyOf(raw, element) && ownedValue(children, element) {
			return true
		}
	}
	return false
}

func keyOf(raw string, element any) bool {
	var key map[string]json.RawMessage
	fields, ok := element.(map[string]any)
	if !ok || json.Unmarshal([]byte(raw), &key) != nil {
		return false
	}
	for name, want := range key {
		if have, set := fields[name]; set && !sameJSON(string(want), have) {
			return false
		}
	}
	return true
}

func sameJSON(raw string, value any) bool {
	encoded, err := json.Marshal(value)
	return err == nil && string(encoded) == raw
}

func empty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}
