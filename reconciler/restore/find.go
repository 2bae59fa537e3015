package restore

import (
	"errors"
	"io/fs"
	"path"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler/release"
)

const (
	releaseFile = "release.yaml"
	controlFile = "control.yaml"
)

// finding is what the branch asks for at the tip.
type finding int

const (
	failed   finding = iota // still what must no longer be wanted
	already                 // what is to be restored
	newer                   // something else
	gone                    // nothing: the release's file is not there
	unusable                // something that cannot be read
	below                   // what failed, by a base that is read from the tip itself
)

// find compares the tip with what failed, under the policy that the promotion
// was judged by.
func (c *Committer) find(key release.Key, commit release.Commit, tip gitsource.TipView) (finding, error) {
	policy := commit.Bad.Promotion.Policy
	if policy == "" {
		policy = commit.Bad.Promotion.Commit
	}
	rules, err := c.Inputs.Rules(policy)
	if err != nil {
		return newer, err
	}
	wanted, err := c.Inputs.Inputs(rules, key, tip.SHA)
	switch {
	case err != nil:
		return newer, err
	case wanted == commit.Bad.Revision.Inputs:
		return c.whereItFailed(key, commit, tip)
	case wanted == "":
		return c.findByBytes(key, commit, tip)
	case commit.Previous != nil && wanted == commit.Previous.Inputs:
		return already, nil
	}
	return newer, nil
}

// whereItFailed tells a fault in the directory from one in the service's
// subtree. The first environment reads that from the same commit, so there is
// nothing in the release's directory to restore.
func (c *Committer) whereItFailed(key release.Key, commit release.Commit, tip gitsource.TipView) (finding, error) {
	bad := commit.Bad.Revision
	if c.Trees == nil || commit.Previous == nil || bad.Base != bad.Commit {
		return failed, nil
	}
	then, err := c.Trees.TreeHashWithout(commit.Good, key.String(), controlFile)
	if err != nil {
		return failed, err
	}
	now, err := tip.TreeHashWithout(key.String(), controlFile)
	if err == nil && now == then {
		return below, nil
	}
	return failed, err
}

// findByBytes looks at a directory that cannot be used. Its control file has no
// say in what it asks for, so a broken one does not stand in the way.
func (c *Committer) findByBytes(key release.Key, commit release.Commit, tip gitsource.TipView) (finding, error) {
	_, err := tip.ReadFile(path.Join(key.String(), releaseFile))
	switch {
	case errors.Is(err, fs.ErrNotExist) && commit.Previous == nil:
		return already, nil
	case errors.Is(err, fs.ErrNotExist):
		return gone, nil
	}
	same, err := c.unchanged(key, commit.Bad.Revision, tip)
	switch {
	case err != nil:
		return unusable, err
	case same:
		return failed, nil
	}
	if commit.Previous != nil {
		same, err = c.unchanged(key, *commit.Previous, tip)
	}
	if same {
		return already, err
	}
	return unusable, err
}

// unchanged reports whether the tip has the very files of a revision.
func (c *Committer) unchanged(key release.Key, r release.Revision, tip gitsource.TipView) (bool, error) {
	if c.Trees == nil {
		return false, nil
	}
	then, err := c.Trees.TreeHashWithout(r.Commit, key.String(), controlFile)
	if err != nil {
		return false, err
	}
	now, err := tip.TreeHashWithout(key.String(), controlFile)
	if err != nil || now != then {
		return false, err
	}
	if r.Base != r.Commit {
		return true, nil // the release's own file, which is the same, names it
	}
	base, err := tip.SubtreeHash("services/" + key.Service)
	return base == r.BaseTree, err
}
