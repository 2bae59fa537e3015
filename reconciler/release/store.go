package release

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Errors of whoever stores records, for those who branch on them.
var (
	// ErrNotFound: there is no such document.
	ErrNotFound = errors.New("document not found")
	// ErrConflict: the document is not at the given version; load it again.
	ErrConflict = errors.New("document was changed by somebody else")
)

// Encode is the record as it is stored.
func Encode(r Record) ([]byte, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode record of %s: %w", r.Key, err)
	}
	return data, nil
}

// Decode reads a stored record. One of another schema is refused, because a
// daemon must not act on decisions that it cannot read whole, and so is one that
// Next cannot have made.
func Decode(data []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, fmt.Errorf("decode record: %w", err)
	}
	if r.Schema != Schema {
		return Record{}, fmt.Errorf("decode record of %s: it has schema %d and this version reads %d", r.Key, r.Schema, Schema)
	}
	if err := r.check(); err != nil {
		return Record{}, fmt.Errorf("decode record of %s: it is damaged: %w", r.Key, err)
	}
	return r, nil
}
