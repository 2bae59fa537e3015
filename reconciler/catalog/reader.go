package catalog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/sluice-cd/sluice/schemas"
)

// maxProblems bounds the report on a hostile tree.
const maxProblems = 10_000

type reader struct {
	fsys      fs.FS
	catalog   Catalog
	hasPolicy bool
	// refused names services that have a file that is not valid: their releases are
	// blocked by that problem and need no second one.
	refused  map[string]bool
	problems Problems
}

func newReader(fsys fs.FS) *reader {
	return &reader{
		fsys: fsys,
		catalog: Catalog{
			Services:            map[string]schemas.Service{},
			Releases:            map[Key]schemas.Release{},
			Controls:            map[Key]schemas.Control{},
			EnvironmentControls: map[string]schemas.Control{},
		},
		refused: map[string]bool{},
	}
}

func (r *reader) finish() Problems {
	r.problems.Sort()
	return r.problems
}

// problem records an error about a file as a whole.
func (r *reader) problem(scope Key, file, remedy, format string, args ...any) {
	r.add(scope, about(file, remedy, format, args...))
}

func (r *reader) add(scope Key, p schemas.Problem) {
	if len(r.problems) < maxProblems {
		r.problems = append(r.problems, Problem{Problem: p, Scope: scope})
	}
}

// decoded records the problems of a Decode function and says whether there were none.
func (r *reader) decoded(scope Key, err error) bool {
	var ps schemas.Problems
	if err != nil && !errors.As(err, &ps) {
		r.problem(scope, PolicyFile, "report this as a defect", "%s", err)
	}
	for _, p := range ps {
		r.add(scope, p)
	}
	return err == nil
}

// read returns the content of a regular file; false when there is none to decode,
// which is a problem unless the file is optional and absent.
func (r *reader) read(scope Key, file string, optional bool) ([]byte, bool) {
	if !fs.ValidPath(file) {
		return nil, false
	}
	info, err := lstat(r.fsys, file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if !optional {
			r.problem(scope, file, "add the file", "the file is missing")
		}
		return nil, false
	case err != nil:
		r.problem(scope, file, "see whether the repository is complete", "the file cannot be read: %q", err)
		return nil, false
	case !info.Mode().IsRegular():
		r.problem(scope, file, "put a regular file in its place", "%s", kindOf(info.Mode()))
		return nil, false
	}
	data, err := readLimited(r.fsys, file)
	if err != nil {
		r.problem(scope, file, "see whether the repository is complete", "the file cannot be read: %q", err)
		return nil, false
	}
	return data, true
}

// lstat does not follow symbolic links, on disk or in a git tree, and finds those in
// the directories above the file too.
func lstat(fsys fs.FS, file string) (fs.FileInfo, error) {
	for i, c := range file {
		if c != '/' {
			continue
		}
		info, err := fs.Lstat(fsys, file[:i])
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			return info, nil
		}
	}
	return fs.Lstat(fsys, file)
}

// readLimited reads one byte more than may be decoded, so that the decoder refuses it.
func readLimited(fsys fs.FS, file string) ([]byte, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, schemas.MaxFileBytes+1))
}

// list returns the entries of a directory; what is not a file or directory, and what
// has an odd name, is a problem of scope(name) and left out.
func (r *reader) list(dir string, scope func(name string) Key) []fs.DirEntry {
	entries, err := fs.ReadDir(r.fsys, dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.problem(scope(""), dir, "see whether the repository is complete", "the directory cannot be read: %q", err)
		}
		return nil
	}
	kept := entries[:0]
	for _, e := range entries {
		if p, odd := oddity(path.Join(dir, e.Name()), e); odd {
			r.add(scope(e.Name()), p)
			continue
		}
		kept = append(kept, e)
	}
	return kept
}

// inspect records what Inspect finds.
func (r *reader) inspect(scope Key, dir string) {
	problems, err := Inspect(r.fsys, dir)
	for _, p := range problems {
		r.add(scope, p)
	}
	if err != nil {
		r.problem(scope, dir, "see whether the repository is complete", "the directory cannot be read: %q", err)
	}
}

func (r *reader) exists(file string) bool {
	if !fs.ValidPath(file) {
		return false
	}
	info, err := lstat(r.fsys, file)
	return err == nil && info.Mode().IsRegular()
}

// printable keeps an odd file name from breaking the line that reports it.
func printable(file string) string {
	quoted := fmt.Sprintf("%q", file)
	if quoted == `"`+file+`"` {
		return file
	}
	return quoted
}
