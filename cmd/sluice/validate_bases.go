package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler/catalog"
)

// bases gives access to the base commits that releases name.
type bases struct {
	mirror  *gitsource.Mirror // nil outside of a git repository
	dir     string
	missing map[string]error
}

var errShallow = errors.New("the clone is shallow, so base commits may be missing: run git fetch --unshallow")

// openBases fetches the base commits from the repository that dir is in. A commit
// that is not there is a problem of the releases that name it, not of the run.
func openBases(ctx context.Context, dir string, found catalog.Catalog) (*bases, []string, error) {
	b := &bases{missing: map[string]error{}}
	commits := baseCommits(found)
	if len(commits) == 0 {
		return b, nil, nil
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("find repository: %w", err)
	}
	head, ok := headOf(root)
	if !ok {
		note := "not the root of a git repository: releases are rendered with the services/ beside them instead of their base commits"
		return b, []string{note}, nil
	}
	if _, err := os.Stat(filepath.Join(root, ".git", "shallow")); err == nil {
		return nil, nil, errShallow
	}
	if b.dir, err = os.MkdirTemp("", "sluice-validate-"); err != nil {
		return nil, nil, fmt.Errorf("make room for a mirror: %w", err)
	}
	mirror, err := gitsource.Open(ctx, gitsource.Config{URL: "file://" + filepath.ToSlash(root), Branch: "HEAD", Dir: b.dir})
	if err != nil {
		b.close()
		return nil, nil, fmt.Errorf("open repository: %w", err)
	}
	b.mirror = mirror
	if _, err := mirror.Fetch(ctx, head); err != nil {
		b.close()
		return nil, nil, err
	}
	for _, commit := range commits {
		if _, err := mirror.Commit(commit); err != nil {
			b.missing[commit] = err
		}
	}
	return b, nil, nil
}

// headOf returns the branch or the commit that is checked out, as git writes it in
// .git/HEAD; .git is a file in a linked worktree. A directory that is no root of a
// repository has none.
func headOf(root string) (head string, ok bool) {
	dir := filepath.Join(root, ".git")
	if link, err := os.ReadFile(dir); err == nil {
		dir = strings.TrimSpace(strings.TrimPrefix(string(link), "gitdir:"))
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(root, dir)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "HEAD"))
	if err != nil {
		return "", false
	}
	return strings.TrimSpace(strings.TrimPrefix(string(text), "ref:")), true
}

func baseCommits(found catalog.Catalog) []string {
	commits := map[string]bool{}
	for _, r := range found.Releases {
		if r.Base != "" {
			commits[r.Base] = true
		}
	}
	return slices.Sorted(maps.Keys(commits))
}

// files implements baseFiles.
func (b *bases) files(commit string) (fs.FS, error) {
	if b.mirror == nil || commit == "" {
		return nil, nil
	}
	if err := b.missing[commit]; err != nil {
		return nil, err
	}
	return b.mirror.FS(commit)
}

func (b *bases) close() {
	if b.mirror != nil {
		b.mirror.Close()
	}
	if b.dir != "" {
		_ = os.RemoveAll(b.dir) // in the temporary directory, which others clean
	}
}
