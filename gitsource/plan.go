package gitsource

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// ErrBadPlan is returned for edits that cannot be applied to the tip, or that
// would touch a path that no edit names.
var ErrBadPlan = errors.New("bad plan")

// TipView is the state of a branch that a plan is made for.
type TipView struct {
	// SHA of the tip; "" when the branch does not exist yet.
	SHA string

	m *Mirror
}

// FS returns the files at the tip; see Mirror.FS.
func (v TipView) FS() (fs.FS, error) { return v.m.FS(v.SHA) }

// ReadFile reads one file at the tip; fs.ErrNotExist when there is none.
func (v TipView) ReadFile(path string) ([]byte, error) {
	f, err := v.FS()
	if err != nil {
		return nil, err
	}
	return fs.ReadFile(f, path)
}

// SubtreeHash is Mirror.SubtreeHash at the tip.
func (v TipView) SubtreeHash(dir string) (string, error) { return v.m.SubtreeHash(v.SHA, dir) }

// TreeHashWithout is Mirror.TreeHashWithout at the tip.
func (v TipView) TreeHashWithout(dir string, except ...string) (string, error) {
	return v.m.TreeHashWithout(v.SHA, dir, except...)
}

// Plan is one commit to be made. Without edits there is nothing to do.
type Plan struct {
	Message  string
	Trailers []Trailer
	// Edits are applied in order.
	Edits []Edit
}

// Edit is one of SetFile, DeleteFile and RestoreDir.
type Edit interface {
	// apply returns the root tree with the edit done.
	apply(b *builder, root plumbing.Hash) (plumbing.Hash, error)
	// covers reports whether the edit may change this path.
	covers(path string) bool
}

// SetFile gives a file these bytes. An existing file keeps its mode; a symlink,
// submodule or directory in its place is refused.
type SetFile struct {
	Path    string
	Content []byte
}

// DeleteFile removes a file; one that is not there is fine.
type DeleteFile struct{ Path string }

// RestoreDir makes a directory what it was at a commit, byte for byte, except
// for the named entries directly in it, which stay as they are at the tip. When
// the commit has no such directory, it goes away.
type RestoreDir struct {
	Dir    string
	Commit string
	Except []string
}

func (e SetFile) covers(path string) bool    { return path == e.Path }
func (e DeleteFile) covers(path string) bool { return path == e.Path }
func (e RestoreDir) covers(path string) bool {
	rest, ok := strings.CutPrefix(path, e.Dir+"/")
	first, _, _ := strings.Cut(rest, "/")
	return ok && !slices.Contains(e.Except, first)
}

func (e SetFile) apply(b *builder, root plumbing.Hash) (plumbing.Hash, error) {
	return b.put(root, e.Path, func(old entry) (entry, error) {
		mode := old.mode
		switch mode {
		case 0:
			mode = modeFile
		case modeFile, modeGroupFile, modeExecutable:
		default:
			return entry{}, fmt.Errorf("%w: %q is not a file", ErrBadPlan, e.Path)
		}
		return entry{mode: mode, hash: b.add(plumbing.BlobObject, e.Content)}, nil
	})
}

func (e DeleteFile) apply(b *builder, root plumbing.Hash) (plumbing.Hash, error) {
	return b.put(root, e.Path, func(old entry) (entry, error) {
		if old.isDir() {
			return entry{}, fmt.Errorf("%w: %q is a directory", ErrBadPlan, e.Path)
		}
		return entry{}, nil
	})
}

func (e RestoreDir) apply(b *builder, root plumbing.Hash) (plumbing.Hash, error) {
	then, err := b.m.subtree(e.Commit, e.Dir)
	if err != nil {
		return root, err
	}
	restored, err := b.tree(then)
	if err != nil {
		return root, err
	}
	return b.put(root, e.Dir, func(old entry) (entry, error) {
		if old.mode != 0 && !old.isDir() {
			return entry{}, fmt.Errorf("%w: %q is not a directory", ErrBadPlan, e.Dir)
		}
		now, err := b.tree(old.hash)
		if err != nil {
			return entry{}, err
		}
		kept := slices.DeleteFunc(slices.Clone(now), func(x entry) bool { return !slices.Contains(e.Except, x.name) })
		return b.directory(append(without(restored, e.Except), kept...)), nil
	})
}

// builder makes trees in memory on top of the mirror's.
type builder struct {
	m       *Mirror
	objects map[plumbing.Hash]object
}

// object is new: the server may not have it.
type object struct {
	kind plumbing.ObjectType
	data []byte
}

func (b *builder) add(kind plumbing.ObjectType, data []byte) plumbing.Hash {
	hash := plumbing.ComputeHash(kind, data)
	b.objects[hash] = object{kind, data}
	return hash
}

func (b *builder) tree(hash plumbing.Hash) ([]entry, error) {
	if o, ok := b.objects[hash]; ok {
		return parseTree(o.data)
	}
	return b.m.tree(hash)
}

// directory is the entry of a directory with this content; git has no empty
// ones, so that is no entry.
func (b *builder) directory(entries []entry) entry {
	if len(entries) == 0 {
		return entry{}
	}
	return entry{mode: modeDir, hash: b.add(plumbing.TreeObject, encodeTree(entries))}
}

// put replaces the entry at a path by what change makes of it, creating and
// dropping directories on the way. A zero entry means absent.
func (b *builder) put(root plumbing.Hash, path string, change func(old entry) (entry, error)) (plumbing.Hash, error) {
	if err := checkPath(path); err != nil {
		return root, fmt.Errorf("%w: %w", ErrBadPlan, err)
	}
	top, err := b.putAt(entry{mode: modeDir, hash: root}, strings.Split(path, "/"), change)
	if err != nil {
		return root, err
	}
	return top.hash, nil
}

func (b *builder) putAt(at entry, parts []string, change func(old entry) (entry, error)) (entry, error) {
	if len(parts) == 0 {
		return change(at)
	}
	if at.mode != 0 && !at.isDir() {
		return entry{}, fmt.Errorf("%w: a file is in the way of %q", ErrBadPlan, strings.Join(parts, "/"))
	}
	entries, err := b.tree(at.hash)
	if err != nil {
		return entry{}, err
	}
	var old entry
	i := slices.IndexFunc(entries, func(e entry) bool { return e.name == parts[0] })
	if i >= 0 {
		old = entries[i]
	}
	now, err := b.putAt(old, parts[1:], change)
	if err != nil {
		return entry{}, err
	}
	rest := without(entries, parts[:1])
	if now.mode != 0 {
		now.name = parts[0]
		rest = append(rest, now)
	}
	return b.directory(rest), nil
}

// Draft is a commit that has been decided on but not made yet: what a Pusher
// needs.
type Draft struct {
	Branch string
	// Parent is the commit's parent; "" for none. The branch must still be at it,
	// unless it is New.
	Parent string
	// New says that the branch must not exist yet.
	New bool
	// ParentTree is the hash of the parent's root tree; "" without a parent.
	ParentTree string
	// Tree is the hash of the resulting root tree.
	Tree    string
	Message string
	Changes []Change

	root    plumbing.Hash
	objects map[plumbing.Hash]object
}

// Blob returns the content of a file that the draft adds; false when the blob
// is in the repository already.
func (d Draft) Blob(sha string) ([]byte, bool) {
	o, ok := d.objects[plumbing.NewHash(sha)]
	return o.data, ok && o.kind == plumbing.BlobObject
}

// draft applies a plan to a tip and proves that nothing but the plan's paths
// changes. ErrNothingToDo when the result equals the tip.
func (m *Mirror) draft(branch, parent string, p Plan) (Draft, error) {
	if len(p.Edits) == 0 {
		return Draft{}, ErrNothingToDo
	}
	message, err := FormatMessage(p.Message, p.Trailers)
	if err != nil {
		return Draft{}, err
	}
	was, err := m.rootTree(parent)
	if err != nil {
		return Draft{}, err
	}
	b := &builder{m: m, objects: map[plumbing.Hash]object{}}
	root := was
	for _, e := range p.Edits {
		if root, err = e.apply(b, root); err != nil {
			return Draft{}, err
		}
	}
	changes, err := treeReader(b.tree).changes(was, root)
	if err != nil {
		return Draft{}, err
	}
	if len(changes) == 0 {
		return Draft{}, ErrNothingToDo
	}
	for _, c := range changes {
		if !slices.ContainsFunc(p.Edits, func(e Edit) bool { return e.covers(c.Path) }) {
			return Draft{}, fmt.Errorf("%w: %q would change without being named", ErrBadPlan, c.Path)
		}
	}
	if root.IsZero() { // the last file is gone: the empty tree is an object too
		root = b.add(plumbing.TreeObject, nil)
	}
	d := Draft{
		Branch: branch, Parent: parent, New: parent == "", Tree: root.String(), Message: message,
		Changes: changes, root: root, objects: b.objects,
	}
	if parent != "" {
		d.ParentTree = was.String()
	}
	return d, nil
}
