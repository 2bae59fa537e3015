package render

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tree is the subtree of a build: path inside the repository to content.
type tree map[string][]byte

// collect reads the release's own directory and its service's directory.
// Whatever else the file system holds is not looked at.
func collect(ctx context.Context, files fs.FS, dir, service string, limits Limits) (tree, error) {
	c := collector{files: files, limits: limits, skip: path.Join(dir, "control.yaml"), out: tree{}}
	for _, root := range []string{dir, serviceDir(service)} {
		if err := c.root(ctx, root); err != nil {
			return nil, err
		}
	}
	return c.out, nil
}

func serviceDir(service string) string { return "services/" + service }

type collector struct {
	files  fs.FS
	limits Limits
	skip   string // control.yaml is no input: a hold must not change what is rendered
	total  int64
	out    tree
}

// root walks one directory. Every component is looked at with Lstat: a file
// system over a checkout would follow a link in the middle of the path.
func (c *collector) root(ctx context.Context, dir string) error {
	parts := strings.Split(dir, "/")
	for i := range parts {
		prefix := path.Join(parts[:i+1]...)
		info, err := fs.Lstat(c.files, prefix)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("stat %s: %w", prefix, err)
		}
		if info.Mode().Type() != fs.ModeDir {
			return c.refuseMode(prefix, info.Mode())
		}
	}
	return fs.WalkDir(c.files, dir, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("walk %s: %w", name, err)
		}
		return c.entry(name, entry)
	})
}

func (c *collector) entry(name string, entry fs.DirEntry) error {
	if odd(name) {
		return refuse(name, 0, "rename it: plain UTF-8 without control characters, backslashes or .git", "odd file name %q", name)
	}
	switch {
	case entry.Type()&^fs.ModeDir != 0: // a submodule may claim to be a directory as well
		return c.refuseMode(name, entry.Type())
	case entry.IsDir() || name == c.skip:
		return nil
	}
	return c.file(name)
}

func (c *collector) file(name string) error {
	if len(c.out) >= c.limits.Files {
		return refuse(name, 0, "split the service or move files that are not rendered elsewhere", "more than %d files", c.limits.Files)
	}
	f, err := c.files.Open(name)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, c.limits.FileBytes+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(data)) > c.limits.FileBytes {
		return refuse(name, 0, "keep large data outside of the repository", "file is larger than %d bytes", c.limits.FileBytes)
	}
	if c.total += int64(len(data)); c.total > c.limits.TotalBytes {
		return refuse(name, 0, "keep large data outside of the repository", "files are larger than %d bytes together", c.limits.TotalBytes)
	}
	c.out[name] = data
	return nil
}

func (c *collector) refuseMode(name string, mode fs.FileMode) error {
	what := "something that is neither a file nor a directory"
	switch {
	case mode&fs.ModeSymlink != 0:
		what = "a symbolic link"
	case mode&fs.ModeIrregular != 0:
		what = "a submodule or another irregular entry"
	case mode.IsRegular():
		what = "a file where a directory is expected"
	}
	return refuse(name, 0, "commit the content itself as plain files and directories", "%s", what)
}

// odd reports names that display as something else, or that tools treat specially.
func odd(name string) bool {
	if !utf8.ValidString(name) || strings.ContainsRune(name, '\\') {
		return true
	}
	if strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0 {
		return true
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.EqualFold(part, ".git") || strings.TrimSpace(part) != part {
			return true
		}
	}
	return false
}
