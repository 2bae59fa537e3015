package gitsource

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
)

var (
	// ErrFileTooLarge is returned by reading a file above Config.MaxFileBytes.
	ErrFileTooLarge = errors.New("file is too large")
	// ErrNotRegular is returned by opening a symlink or a submodule.
	ErrNotRegular = errors.New("not a regular file")
)

// FS returns a commit's files, read-only. It implements fs.ReadDirFS,
// fs.ReadFileFS, fs.StatFS and fs.ReadLinkFS, and reads lazily.
//
// Nothing is ever followed: a symlink is fs.ModeSymlink also for Stat and
// cannot be opened, a submodule is fs.ModeIrregular. A directory that holds an
// odd name (see CheckName) cannot be listed, with ErrOddName; the rest of the
// tree can.
//
// It is meant to be used and dropped: after a damaged mirror was cloned again,
// files of a commit that only Fetch had brought need another Fetch.
func (m *Mirror) FS(commit string) (fs.FS, error) {
	tree, err := m.rootTree(commit)
	if err != nil {
		return nil, fmt.Errorf("open commit: %w", err)
	}
	return &treeFS{m: m, root: tree}, nil
}

type treeFS struct {
	m    *Mirror
	root plumbing.Hash
}

func (f *treeFS) lookup(op, name string) (entry, error) {
	if !fs.ValidPath(name) {
		return entry{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if name == "." {
		return entry{name: ".", mode: modeDir, hash: f.root}, nil
	}
	e, err := f.m.find(f.root, name)
	if err == nil && e.mode == 0 {
		err = fs.ErrNotExist
	}
	if err != nil {
		return entry{}, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return e, nil
}

// Open implements fs.FS.
func (f *treeFS) Open(name string) (fs.File, error) {
	e, err := f.lookup("open", name)
	if err != nil {
		return nil, err
	}
	info, err := f.info(e)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if e.isDir() {
		list, err := f.ReadDir(name)
		if err != nil {
			return nil, err
		}
		return &openDir{info: info, path: name, entries: list}, nil
	}
	data, err := f.content(e)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &openFile{info: info, Reader: bytes.NewReader(data)}, nil
}

// ReadFile implements fs.ReadFileFS.
func (f *treeFS) ReadFile(name string) ([]byte, error) {
	e, err := f.lookup("read", name)
	if err != nil {
		return nil, err
	}
	data, err := f.content(e)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return data, nil
}

func (f *treeFS) content(e entry) ([]byte, error) {
	if !fileMode(e.mode).IsRegular() {
		return nil, ErrNotRegular
	}
	return f.m.blob(e.hash)
}

// ReadDir implements fs.ReadDirFS.
func (f *treeFS) ReadDir(name string) ([]fs.DirEntry, error) {
	e, err := f.lookup("readdir", name)
	if err != nil {
		return nil, err
	}
	if !e.isDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a directory")}
	}
	entries, err := f.m.tree(e.hash)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	out := make([]fs.DirEntry, 0, len(entries))
	for _, e := range entries {
		if err := CheckName(e.name); err != nil {
			return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
		}
		out = append(out, dirEntry{f, e})
	}
	slices.SortFunc(out, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return out, nil
}

// Stat implements fs.StatFS. It does not follow symlinks.
func (f *treeFS) Stat(name string) (fs.FileInfo, error) {
	e, err := f.lookup("stat", name)
	if err != nil {
		return nil, err
	}
	info, err := f.info(e)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return info, nil
}

// Lstat implements fs.ReadLinkFS and is the same as Stat.
func (f *treeFS) Lstat(name string) (fs.FileInfo, error) { return f.Stat(name) }

// ReadLink implements fs.ReadLinkFS.
func (f *treeFS) ReadLink(name string) (string, error) {
	e, err := f.lookup("readlink", name)
	if err != nil {
		return "", err
	}
	if e.mode != modeSymlink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	data, err := f.m.blob(e.hash)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(data), nil
}

func (f *treeFS) info(e entry) (fs.FileInfo, error) {
	info := fileInfo{name: path.Base(e.name), mode: fileMode(e.mode)}
	if e.isDir() || e.mode == modeSubmodule {
		return info, nil
	}
	size, err := f.m.objectSize(e.hash)
	info.size = size
	return info, err
}

func fileMode(mode uint32) fs.FileMode {
	switch mode {
	case modeDir:
		return fs.ModeDir | 0o555
	case modeExecutable:
		return 0o555
	case modeSymlink:
		return fs.ModeSymlink | 0o444
	case modeSubmodule:
		return fs.ModeIrregular | 0o444
	default:
		return 0o444
	}
}

type fileInfo struct {
	name string
	size int64
	mode fs.FileMode
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) Mode() fs.FileMode  { return i.mode }
func (i fileInfo) ModTime() time.Time { return time.Time{} } // git keeps none
func (i fileInfo) IsDir() bool        { return i.mode.IsDir() }
func (i fileInfo) Sys() any           { return nil }

type dirEntry struct {
	fs *treeFS
	e  entry
}

func (d dirEntry) Name() string               { return d.e.name }
func (d dirEntry) IsDir() bool                { return d.e.isDir() }
func (d dirEntry) Type() fs.FileMode          { return fileMode(d.e.mode).Type() }
func (d dirEntry) Info() (fs.FileInfo, error) { return d.fs.info(d.e) }
func (d dirEntry) String() string             { return fs.FormatDirEntry(d) }

type openFile struct {
	info fs.FileInfo
	*bytes.Reader
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct {
	info    fs.FileInfo
	path    string
	entries []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }
func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.path, Err: errors.New("is a directory")}
}

// ReadDir implements fs.ReadDirFile.
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(d.entries)
	} else if len(d.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(d.entries))
	out := d.entries[:n:n]
	d.entries = d.entries[n:]
	return out, nil
}
