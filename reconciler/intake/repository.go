package intake

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// Schema is the version of the stored record.
const Schema = 1

// A Repository is what was read of one environments repository.
type Repository struct {
	Schema int `json:"schema"`
	// Genesis is the commit that an operator named as the baseline.
	Genesis string `json:"genesis"`
	// Mark is the last commit that was folded.
	Mark string `json:"mark"`
	// Policy is the commit whose sluice.yaml and services/*/service.yaml are in
	// force.
	Policy string `json:"policy"`
	// PolicyRefused is why a later policy is not, "" when there is none.
	PolicyRefused string `json:"policyRefused,omitempty"`
	// LeftOut says which new releases are not followed because there are too
	// many, "" when all are.
	LeftOut string `json:"leftOut,omitempty"`
	// Waiting is why the commit after the mark could not be read for a while, ""
	// when it was not tried or is only a moment ago.
	Waiting string `json:"waiting,omitempty"`
	// Frozen is why nothing more is read until an operator decides.
	Frozen string `json:"frozen,omitempty"`
	// Releases by name, such as "production/checkout".
	Releases map[string]Release `json:"releases"`
}

// Retired is the identity of the inputs of a release that is to go.
const Retired = "retired"

// A Release is what git asks for.
type Release struct {
	// Inputs is the identity of what is asked for: Retired for a release that
	// is to go, "" for a directory that is not there.
	Inputs string `json:"inputs,omitempty"`
	// Commit is the last one that changed the inputs; At is when it landed.
	Commit string    `json:"commit"`
	At     time.Time `json:"at"`
	// Changes lists what still has to be proven, oldest first.
	Changes []Change `json:"changes,omitempty"`
	Control Control  `json:"control,omitzero"`
	// Problem is why the newest files cannot be used, "" when they can.
	Problem string `json:"problem,omitempty"`
	// Genesis: the inputs are still those of the baseline.
	Genesis bool `json:"genesis,omitempty"`
}

// A Change is one commit that changed the inputs. Which review it belongs to
// is asked when it has to be proven, so that reading never waits for a forge.
type Change struct {
	From   string    `json:"from"` // the first parent
	Commit string    `json:"commit"`
	At     time.Time `json:"at"`
	// Before and After are the identities of the inputs.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Broken: the files could not be used afterwards; After is not known.
	Broken bool `json:"broken,omitempty"`
	// Lost: there were changes before it that are not listed, so that they can
	// never be proven.
	Lost bool `json:"lost,omitempty"`
}

// Control is the part of control.yaml that is in force.
type Control struct {
	Paused bool   `json:"paused,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Frozen is why the release's whole environment is closed, "" when it is not.
	Frozen string `json:"frozen,omitempty"`
	Holds  []Hold `json:"holds,omitempty"`
}

// A Hold refuses a digest or a revision.
type Hold struct {
	Rollback string    `json:"rollback,omitempty"`
	Digest   string    `json:"digest,omitempty"`
	Revision string    `json:"revision,omitempty"`
	Reason   string    `json:"reason"`
	By       string    `json:"by,omitempty"`
	At       time.Time `json:"at,omitzero"`
}

// maxChanges bounds the list of what is unproven. Beyond it the two ends stay:
// the first says where trust ended, the last what is wanted now, and the one
// after the gap that it is there.
const maxChanges = 64

// Unproven lists the changes since the last inputs that verified accepts.
func (r Release) Unproven(verified func(inputs string) bool) []Change {
	for i := len(r.Changes) - 1; i >= 0; i-- {
		if verified(r.Changes[i].After) {
			return r.Changes[i+1:]
		}
	}
	return r.Changes
}

// Encode is the record as it is stored: compressed, because a merge that moves
// a thousand releases lists a thousand changes. The error wraps ErrTooLarge where
// the store would refuse it.
func Encode(r Repository) ([]byte, error) {
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	if err := json.NewEncoder(zip).Encode(r); err != nil {
		return nil, fmt.Errorf("encode repository record: %w", err)
	}
	if err := zip.Close(); err != nil {
		return nil, fmt.Errorf("compress repository record: %w", err)
	}
	data, err := json.Marshal(buf.Bytes())
	if err == nil && len(data) > MaxEncoded {
		return nil, fmt.Errorf("%w: %d bytes of %d", ErrTooLarge, len(data), MaxEncoded)
	}
	return data, err
}

// maxRecord bounds what a stored record may unpack to.
const maxRecord = 64 << 20

// Decode reads a stored record. One of another schema is refused.
func Decode(data []byte) (Repository, error) {
	var packed []byte
	if err := json.Unmarshal(data, &packed); err != nil {
		return Repository{}, fmt.Errorf("decode repository record: %w", err)
	}
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return Repository{}, fmt.Errorf("unpack repository record: %w", err)
	}
	var r Repository
	if err := json.NewDecoder(io.LimitReader(zip, maxRecord)).Decode(&r); err != nil {
		return Repository{}, fmt.Errorf("decode repository record: %w", err)
	}
	if r.Schema != Schema {
		return Repository{}, fmt.Errorf("decode repository record: it has schema %d and this version reads %d", r.Schema, Schema)
	}
	return r, nil
}

// Troubles says what keeps the repository as a whole from being followed; nothing
// when it is.
func (r Repository) Troubles() []string {
	var out []string
	for _, t := range [...]struct{ what, why string }{
		{"reading is frozen: ", r.Frozen},
		{"reading waits for a person: ", r.Waiting},
		{"not every release is followed: ", r.LeftOut},
		{"", r.PolicyRefused},
	} {
		if t.why != "" {
			out = append(out, t.what+t.why)
		}
	}
	return out
}

// Names lists the releases in order.
func (r Repository) Names() []string { return slices.Sorted(maps.Keys(r.Releases)) }
