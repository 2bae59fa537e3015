package gitsource

import (
	"fmt"
	"maps"
	"slices"
)

// SameContent proves that what landed is what was reviewed: the changes from b
// to c are exactly the changes from m to h, with the same modes and the same
// blobs before and after. Here c ends the range of commits that the pull
// request put on the base branch, b precedes that range, h is the reviewed head
// and m the only merge base of b and h. It holds for merge commits, squashes
// and rebases, and needs no merge algorithm.
//
// When it does not hold, reason says in words which path is at fault.
func (m *Mirror) SameContent(b, c, mergeBase, h string) (ok bool, reason string, err error) {
	landed, err := m.Changes(b, c)
	if err != nil {
		return false, "", fmt.Errorf("read what landed: %w", err)
	}
	reviewed, err := m.Changes(mergeBase, h)
	if err != nil {
		return false, "", fmt.Errorf("read what was reviewed: %w", err)
	}
	got, want := changeSet(landed), changeSet(reviewed)
	if maps.Equal(got, want) {
		return true, "", nil
	}
	all := maps.Clone(got)
	maps.Copy(all, want)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if reason := differs(path, got, want); reason != "" {
			return false, reason, nil
		}
	}
	return false, "the changes differ", nil
}

func changeSet(changes []Change) map[string]Change {
	out := make(map[string]Change, len(changes))
	for _, c := range changes {
		out[c.Path] = c
	}
	return out
}

// differs explains one path; "" when both sides agree on it.
func differs(path string, landed, reviewed map[string]Change) string {
	l, hasLanded := landed[path]
	r, hasReviewed := reviewed[path]
	switch {
	case l == r:
		return ""
	case !hasReviewed:
		return fmt.Sprintf("%q changed on the branch but was not part of the review", path)
	case !hasLanded:
		return fmt.Sprintf("the reviewed change of %q did not land", path)
	case l.OldBlob != r.OldBlob || l.OldMode != r.OldMode:
		return fmt.Sprintf("%q was also changed on the base branch: update the branch and have it reviewed again", path)
	default:
		return fmt.Sprintf("%q is not what was reviewed", path)
	}
}

// OnlyMergeBase is the single best common ancestor of a base commit and a
// reviewed head. With none or several there is no one version that the review
// was against: the result is "" and reason says so.
func (m *Mirror) OnlyMergeBase(base, head string) (mergeBase, reason string, err error) {
	bases, err := m.MergeBases(base, head)
	if err != nil {
		return "", "", err
	}
	switch len(bases) {
	case 1:
		return bases[0], "", nil
	case 0:
		return "", "the reviewed head and the base branch have no common history", nil
	default:
		return "", fmt.Sprintf("the reviewed head and the base branch have %d merge bases: update the branch and have it reviewed again", len(bases)), nil
	}
}
