package catalog

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/sluice-cd/sluice/schemas"
)

// maxDepth bounds how deep directories are followed.
const maxDepth = 16

// Inspect looks for links, submodules and odd names at any depth below a directory
// whose files are to be rendered. The error is about what could not be listed.
func Inspect(fsys fs.FS, dir string) (schemas.Problems, error) {
	var found schemas.Problems
	err := fs.WalkDir(fsys, dir, func(at string, e fs.DirEntry, err error) error {
		if err != nil || at == dir {
			return err
		}
		p, odd := oddity(at, e)
		if !odd && e.IsDir() && strings.Count(at, "/")-strings.Count(dir, "/") >= maxDepth {
			p, odd = about(at, "use fewer levels", "directories are nested more than %d deep", maxDepth), true
		}
		if !odd {
			return nil
		}
		if found = append(found, p); len(found) == maxProblems {
			return fs.SkipAll
		}
		if e.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	return found, err
}

// oddity says what is wrong with a name or with what it stands for.
func oddity(at string, e fs.DirEntry) (schemas.Problem, bool) {
	switch name := path.Base(at); {
	case !isPlainName(name):
		return about(at, "use letters, digits, dots, hyphens and underscores", "the name %q is not allowed here", name), true
	case !e.IsDir() && !e.Type().IsRegular():
		return about(at, "put a regular file or directory in its place", "%s", kindOf(e.Type())), true
	}
	return schemas.Problem{}, false
}

// about is an error about a file as a whole.
func about(file, remedy, format string, args ...any) schemas.Problem {
	return schemas.Problem{
		File: printable(file), Message: fmt.Sprintf(format, args...), Remedy: remedy, Severity: schemas.SeverityError,
	}
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9._][-A-Za-z0-9._+@=]*$`)

// isPlainName also refuses what git or a checkout on another system gives a meaning.
func isPlainName(name string) bool {
	return len(name) <= 200 && plainName.MatchString(name) && name != "." && name != ".." &&
		!strings.EqualFold(name, ".git") && !strings.EqualFold(name, ".gitmodules") && !strings.EqualFold(name, ".gitattributes")
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeIrregular != 0:
		return "a submodule"
	}
	return "not a regular file"
}
