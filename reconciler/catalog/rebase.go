package catalog

import (
	"io/fs"
	"path"
	"strings"
)

// Rebase shows own with the directory of one service read from base: the files that a
// release with a base commit consists of. It also lists and stats like the two.
func Rebase(own, base fs.FS, service string) fs.FS {
	return rebased{own: own, base: base, dir: path.Join(ServicesDir, service)}
}

type rebased struct {
	own, base fs.FS
	dir       string
}

func (r rebased) of(name string) fs.FS {
	if name == r.dir || strings.HasPrefix(name, r.dir+"/") {
		return r.base
	}
	return r.own
}

// Open implements fs.FS.
func (r rebased) Open(name string) (fs.File, error) { return r.of(name).Open(name) }

// ReadDir implements fs.ReadDirFS.
func (r rebased) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(r.of(name), name) }

// Stat implements fs.StatFS.
func (r rebased) Stat(name string) (fs.FileInfo, error) { return fs.Stat(r.of(name), name) }

// Lstat implements fs.ReadLinkFS.
func (r rebased) Lstat(name string) (fs.FileInfo, error) { return fs.Lstat(r.of(name), name) }

// ReadLink implements fs.ReadLinkFS.
func (r rebased) ReadLink(name string) (string, error) { return fs.ReadLink(r.of(name), name) }
