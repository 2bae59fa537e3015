package environments

import (
	"errors"
	"fmt"
	"sync"

	"github.com/sluice-cd/sluice/gitsource"
)

// A line is the part of the branch's first-parent history that was walked so
// far. A thousand releases ask about their base at once; the history between is
// walked for all of them together.
type line struct {
	git *gitsource.Mirror

	mu sync.Mutex // guards the following
	// position counts from where the walk began, growing with time.
	position       map[string]int
	oldest, newest string
	// rooted: oldest has no parent.
	rooted bool
}

// contains reports whether the branch was at base at some time up to commit,
// which is on the branch. The inside of a merged branch does not count: only
// what it added up to was reviewed.
func (l *line) contains(base, commit string) (bool, error) {
	yes, err := l.git.IsAncestor(base, commit)
	if errors.Is(err, gitsource.ErrUnknownCommit) {
		return false, nil
	}
	if err != nil || !yes {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	met, beside, err := l.reachLocked(commit)
	if err != nil || beside[base] {
		return err == nil, err
	}
	for {
		if at, ok := l.position[base]; ok {
			return at <= l.position[met], nil
		}
		if l.rooted {
			return false, nil
		}
		if err := l.backLocked(); err != nil {
			return false, err
		}
	}
}

// reachLocked walks from commit and from the oldest known commit in turns,
// because it is not known which of the two is the older one, until they meet.
// It returns where commit's line meets the known one, and what lies before that
// unless it continues the known line.
func (l *line) reachLocked(commit string) (met string, beside map[string]bool, err error) {
	if l.position == nil {
		l.position = map[string]int{commit: 0}
		l.oldest, l.newest = commit, commit
	}
	var walked []string
	for at := commit; ; {
		if _, ok := l.position[commit]; ok {
			return commit, nil, nil
		}
		if _, ok := l.position[at]; ok {
			return l.joinLocked(walked, at)
		}
		if at == "" && l.rooted {
			return "", nil, fmt.Errorf("walk from %.12s: it has no history in common with the branch", commit)
		}
		if at != "" {
			walked = append(walked, at)
			if at, err = l.parent(at); err != nil {
				return "", nil, err
			}
		}
		if err := l.backLocked(); err != nil {
			return "", nil, err
		}
	}
}

// joinLocked adds what was walked, newest first, down to met.
func (l *line) joinLocked(walked []string, met string) (string, map[string]bool, error) {
	if met != l.newest {
		beside := make(map[string]bool, len(walked))
		for _, sha := range walked {
			beside[sha] = true
		}
		return met, beside, nil
	}
	top := l.position[met] + len(walked)
	for i, sha := range walked {
		l.position[sha] = top - i
	}
	l.newest = walked[0]
	return l.newest, nil, nil
}

func (l *line) backLocked() error {
	if l.rooted {
		return nil
	}
	parent, err := l.parent(l.oldest)
	if err != nil {
		return err
	}
	if parent == "" {
		l.rooted = true
		return nil
	}
	l.position[parent] = l.position[l.oldest] - 1
	l.oldest = parent
	return nil
}

// parent is the first parent, "" for a root.
func (l *line) parent(sha string) (string, error) {
	c, err := l.git.Commit(sha)
	if err != nil || len(c.Parents) == 0 {
		return "", err
	}
	return c.Parents[0], nil
}
