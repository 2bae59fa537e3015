package giteatest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A build is the server's binary and the directory with its templates.
type build struct {
	binary string
	static string
}

func locate(ctx context.Context) (build, error) {
	root, err := moduleRoot()
	if err != nil {
		return build{}, err
	}
	binary := os.Getenv("SLUICE_GITEA")
	if binary == "" {
		binary = filepath.Join(root, "bin", "gitea")
	}
	if _, err := os.Stat(binary); err != nil {
		return build{}, fmt.Errorf("find Gitea (make bin/gitea builds it): %w", err)
	}
	// The binary carries no templates; those of its module are used.
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "code.gitea.io/gitea")
	list.Dir = filepath.Join(root, ".ci", "gitea")
	static, err := list.Output()
	if err != nil {
		return build{}, fmt.Errorf("find the directory of Gitea's module: %w", err)
	}
	return build{binary: binary, static: strings.TrimSpace(string(static))}, nil
}

// moduleRoot looks for go.mod from the working directory upwards.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("find the module's root: %w", fs.ErrNotExist)
		}
		dir = parent
	}
}

// optional says whether a missing binary only skips a test.
func optional(err error) bool {
	return errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") == "" && os.Getenv("SLUICE_REQUIRE_GITEA") == ""
}
