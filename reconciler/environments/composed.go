package environments

import (
	"io"
	"io/fs"
	"slices"
	"strings"
)

// composed shows two directories of two commits as one tree. The release's own
// two files are hidden: they are not part of its configuration, so nothing that
// is rendered may come from them.
type composed struct {
	dir, subtree string
	own, base    fs.FS
}

func (c composed) of(name string) (fs.FS, error) {
	switch {
	case c.hidden(name):
		return nil, fs.ErrNotExist
	case name == c.dir || strings.HasPrefix(name, c.dir+"/"):
		return c.own, nil
	case name == c.subtree || strings.HasPrefix(name, c.subtree+"/"):
		return c.base, nil
	}
	return nil, fs.ErrNotExist
}

func (c composed) hidden(name string) bool {
	return name == c.dir+"/"+releaseFile || name == c.dir+"/"+controlFile
}

// Open shows nothing outside the two directories.
func (c composed) Open(name string) (fs.File, error) {
	of, err := c.of(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	f, err := of.Open(name)
	if err != nil || name != c.dir {
		return f, err
	}
	entries, err := c.ReadDir(name)
	return &directory{File: f, entries: entries}, err
}

// ReadDir lists one of the two directories or what is below them.
func (c composed) ReadDir(name string) ([]fs.DirEntry, error) {
	of, err := c.of(name)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	entries, err := fs.ReadDir(of, name)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return c.hidden(name + "/" + e.Name()) }), err
}

// ReadFile reads without following symbolic links.
func (c composed) ReadFile(name string) ([]byte, error) {
	of, err := c.of(name)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return fs.ReadFile(of, name)
}

// Stat shows symbolic links as such. It also knows the directories above the
// two, which cannot be listed.
func (c composed) Stat(name string) (fs.FileInfo, error) {
	if strings.HasPrefix(c.dir, name+"/") {
		return fs.Stat(c.own, name)
	}
	if strings.HasPrefix(c.subtree, name+"/") {
		return fs.Stat(c.base, name)
	}
	of, err := c.of(name)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return fs.Stat(of, name)
}

// A directory is an open directory of which some entries are hidden.
type directory struct {
	fs.File
	entries []fs.DirEntry
}

// ReadDir implements fs.ReadDirFile.
func (d *directory) ReadDir(n int) ([]fs.DirEntry, error) {
	if n > 0 && len(d.entries) == 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > len(d.entries) {
		n = len(d.entries)
	}
	out := d.entries[:n:n]
	d.entries = d.entries[n:]
	return out, nil
}
