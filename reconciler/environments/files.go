package environments

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler/catalog"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

type fileKey struct {
	commit, name string
	first        bool
}

// files is what a release's directory says in one commit.
type files struct {
	release  schemas.Release
	revision release.Revision
	inputs   string // as in intake.Snapshot
	control  intake.Control
}

const (
	releaseFile = catalog.ReleaseFile
	controlFile = catalog.ControlFile
)

// ControlPath is the file that carries a release's holds.
func ControlPath(key release.Key) string { return key.String() + "/" + controlFile }

// FreezePath is the file that carries an environment's freeze.
func FreezePath(environment string) string { return environment + "/" + controlFile }

// An unusable error is the files' own fault and stays until somebody changes
// them. Any other error says that they could not be read now.
type unusable struct{ error }

func (u unusable) Unwrap() error { return u.error }

// blame makes an error of reading a file the file's fault where it is.
func blame(err error) error {
	if errors.Is(err, gitsource.ErrFileTooLarge) || errors.Is(err, gitsource.ErrNotRegular) || errors.Is(err, gitsource.ErrOddName) {
		return unusable{err}
	}
	return err
}

// readFiles reads a release at a commit of the branch.
func (r *Repository) readFiles(rules Rules, key release.Key, commit string) (files, error) {
	return r.readOnto(rules, key, commit, commit)
}

// readOnto reads a release at a commit that is on the branch, or would be
// merged onto it at onto: the base has to be on the branch by then.
func (r *Repository) readOnto(rules Rules, key release.Key, commit, onto string) (files, error) {
	k := fileKey{commit: commit, name: key.String(), first: rules.First(key.Environment)}
	return cached(&r.mu, r.files, maxFiles, k, func() (files, error) { return r.decodeFiles(key, commit, onto, k.first) })
}

func (r *Repository) decodeFiles(key release.Key, commit, onto string, first bool) (files, error) {
	var f files
	control, err := r.readControl(key, commit)
	if err != nil {
		return f, err
	}
	f.control = control
	data, err := r.read(commit, key.String()+"/"+releaseFile)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return f, blame(err)
	}
	if f.release, err = schemas.DecodeRelease(key.String()+"/"+releaseFile, data); err != nil {
		return f, unusable{err}
	}
	if f.release.Retired() {
		f.inputs = intake.Retired
		return f, nil
	}
	if f.revision, err = r.revise(key, commit, onto, f.release, first); err != nil {
		return f, err
	}
	f.inputs = f.revision.Inputs
	return f, nil
}

func (r *Repository) readControl(key release.Key, commit string) (intake.Control, error) {
	whole, err := r.decodeControl(FreezePath(key.Environment), commit)
	if err != nil {
		return intake.Control{}, err
	}
	c, err := r.decodeControl(ControlPath(key), commit)
	if err != nil {
		return intake.Control{}, err
	}
	out := intake.Control{Paused: c.Paused, Reason: c.Reason}
	if whole.Freeze != nil {
		out.Frozen = whole.Freeze.Reason
	}
	for _, h := range c.Holds {
		out.Holds = append(out.Holds, intake.Hold{
			Rollback: h.Rollback, Digest: h.Digest, Revision: h.Revision, Reason: h.Reason, By: h.By, At: h.At.Time,
		})
	}
	return out, nil
}

// decodeControl reads one control file; one that is not there asks for nothing.
func (r *Repository) decodeControl(path, commit string) (schemas.Control, error) {
	data, err := r.read(commit, path)
	if errors.Is(err, fs.ErrNotExist) {
		return schemas.Control{}, nil
	}
	if err != nil {
		return schemas.Control{}, blame(err)
	}
	c, err := catalog.DecodeControl(path, data)
	if err != nil {
		return schemas.Control{}, unusable{err}
	}
	return c, nil
}

// revise computes the identity of a release's inputs.
func (r *Repository) revise(key release.Key, commit, onto string, file schemas.Release, first bool) (release.Revision, error) {
	base, err := r.base(key, commit, onto, file.Base, first)
	if err != nil {
		return release.Revision{}, err
	}
	baseTree, err := r.git.SubtreeHash(base, baseDir(key))
	if err != nil {
		return release.Revision{}, err
	}
	if baseTree == "" {
		return release.Revision{}, unusable{fmt.Errorf("%s/%s: %s/ does not exist in %.12s", key, releaseFile, baseDir(key), base)}
	}
	overlay, err := r.git.TreeHashWithout(commit, key.String(), releaseFile, controlFile)
	if err != nil {
		return release.Revision{}, err
	}
	if err := errors.Join(r.renderable(commit, key.String()), r.renderable(base, baseDir(key))); err != nil {
		return release.Revision{}, err
	}
	revision := release.Revision{Commit: commit, Base: base, BaseTree: baseTree}
	for _, a := range file.List() {
		revision.Artifacts = append(revision.Artifacts, release.Artifact{Image: a.Image, Digest: a.Digest})
		revision.Version = a.Version
	}
	revision.Inputs = Identity(file, baseTree, overlay)
	revision.ID = revision.Inputs[:idLength]
	return revision, nil
}

// Identity identifies the inputs of a release by what they are: its artifacts, the
// service's subtree at the base, and the release's directory without its file and
// its control file, the latter two as trees of git.
func Identity(file schemas.Release, baseTree, overlay string) string {
	sum := sha256.New()
	for _, a := range file.List() {
		fmt.Fprintf(sum, "artifact %s %s\n", a.Image, a.Digest)
	}
	fmt.Fprintf(sum, "base %s\noverlay %s\n", baseTree, overlay)
	return hex.EncodeToString(sum.Sum(nil))[:inputsLength]
}

// renderable refuses a directory with what is not to be rendered: names that nothing
// could read, links and submodules.
func (r *Repository) renderable(commit, dir string) error {
	tree, err := r.git.FS(commit)
	if err != nil {
		return err
	}
	problems, err := catalog.Inspect(tree, dir)
	if err != nil {
		return blame(fmt.Errorf("list %s in %.12s: %w", dir, commit, err))
	}
	if len(problems) > 0 {
		return unusable{problems}
	}
	return nil
}

// base is the commit that the service's subtree is read from. One that the
// branch never was at is refused: inside of a merged branch there may be states
// that nobody reviewed.
func (r *Repository) base(key release.Key, commit, onto, base string, first bool) (string, error) {
	if base == "" && first {
		return commit, nil
	}
	if base == "" {
		return "", unusable{fmt.Errorf("%s/%s: base is missing; name the commit that %s/ is read from", key, releaseFile, baseDir(key))}
	}
	ok, err := r.line.contains(base, onto)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", unusable{fmt.Errorf("%s/%s: base %.12s is not a commit of branch %s; name one that is", key, releaseFile, base, r.branch)}
	}
	return base, nil
}

// Lengths in hexadecimal digits: 128 bits identify, 32 bits name the objects of
// one release, of which only a few exist at a time.
const (
	inputsLength = 32
	idLength     = 8
)
