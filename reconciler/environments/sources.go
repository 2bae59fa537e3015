package environments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/schemas"
)

// A History says what lies between two commits of a source repository.
type History interface {
	// Compare fails with forge.ErrTooManyCommits where to has more than the forge lists.
	Compare(ctx context.Context, repository, from, to string) (forge.Comparison, error)
	// Newest is a commit and what came right before it, newest first.
	Newest(ctx context.Context, repository, commit string) ([]forge.PullRequestCommit, error)
	// MergedWith is the merged pull requests that brought a commit.
	MergedWith(ctx context.Context, repository, commit string) ([]forge.PullRequest, error)
}

// relabelled is for how long the labels of a source pull request are believed.
// Without it each look at each promotion would ask about each of its commits.
const relabelled = 5 * time.Minute

// maxBrought bounds how many commits' pull requests are kept.
const maxBrought = 20_000

type brought struct {
	pulls []forge.PullRequest
	until time.Time
}

// sources finds out what a promotion brings of the repositories that its
// artifacts are built from.
func (q *inquiry) sources(ctx context.Context, rules Rules, c Candidate, file schemas.Release, approvals schemas.Approvals) ([]gate.Source, error) {
	if c.Retired || !gate.AsksSources(approvals, file.Change) {
		return nil, nil
	}
	before, err := q.stableFile(rules, c)
	if err != nil {
		return nil, err
	}
	var out []gate.Source
	for _, a := range file.List() {
		s := gate.Source{Repository: a.Source.Repository, To: a.Source.Commit, Record: gate.RecordTold}
		if slices.ContainsFunc(out, func(o gate.Source) bool { return o.Repository == s.Repository && o.To == s.To }) {
			continue
		}
		if s.From = builtFrom(before, a); q.history == nil {
			s.Record = gate.NoRecord
		} else if err := q.readSource(ctx, &s, rules.Policy.Classes, approvals); err != nil {
			s.Unknown = err.Error()
		}
		out = append(out, s)
	}
	return out, nil
}

// stableFile is the release file of what is stable, empty where nothing is.
func (q *inquiry) stableFile(rules Rules, c Candidate) (schemas.Release, error) {
	if c.Stable == nil {
		return schemas.Release{}, nil
	}
	before, err := q.readFiles(rules, c.Key, c.Stable.Commit)
	return before.release, err
}

// builtFrom is the commit that what an artifact replaces was built from. What has
// another image now is compared with any other artifact of its repository.
func builtFrom(stable schemas.Release, a schemas.Artifact) string {
	from := ""
	for _, before := range stable.List() {
		if !strings.EqualFold(before.Source.Repository, a.Source.Repository) {
			continue
		}
		if before.Image == a.Image {
			return before.Source.Commit
		}
		from = before.Source.Commit
	}
	return from
}

func (q *inquiry) readSource(ctx context.Context, s *gate.Source, classes schemas.Classes, approvals schemas.Approvals) error {
	if classes.Breaking.Check != nil || classes.Security.Check != nil {
		var err error
		if s.Runs, err = q.ask.Checks(ctx, s.Repository, s.To); err != nil {
			return err
		}
	}
	if s.From == "" {
		// Nobody relies on it yet, so no change of it can break anything.
		if !approvals.ExcludeSourceAuthors {
			return nil
		}
		var err error
		s.Commits, err = q.history.Newest(ctx, s.Repository, s.To)
		return err
	}
	compared, err := q.compare(ctx, s, s.From, s.To)
	if err != nil {
		return err
	}
	differ := compared.Commits
	s.Commits = compared.Commits
	if compared.Behind > 0 { // what is taken away was brought by somebody too
		back, err := q.compare(ctx, s, s.To, s.From)
		if err != nil {
			return err
		}
		differ = slices.Concat(differ, back.Commits)
	}
	return q.readPulls(ctx, s, differ)
}

// compare notes that there are too many commits: no answer comes later.
func (q *inquiry) compare(ctx context.Context, s *gate.Source, from, to string) (forge.Comparison, error) {
	question := fmt.Sprintf("compare %s %s %s", s.Repository, from, to)
	compared, err := once(q.ask, question, func() (forge.Comparison, error) {
		return q.history.Compare(ctx, s.Repository, from, to)
	})
	if errors.Is(err, forge.ErrTooManyCommits) {
		s.TooMany = true
		return forge.Comparison{}, nil
	}
	return compared, err
}

// readPulls finds the pull requests of commits, each once.
func (q *inquiry) readPulls(ctx context.Context, s *gate.Source, commits []forge.PullRequestCommit) error {
	for _, commit := range commits {
		pulls, err := q.broughtWith(ctx, s.Repository, commit.Commit)
		if err != nil {
			return err
		}
		for _, pr := range pulls {
			if !slices.ContainsFunc(s.PullRequests, func(p forge.PullRequest) bool { return p.Number == pr.Number }) {
				s.PullRequests = append(s.PullRequests, pr)
			}
		}
	}
	return nil
}

func (q *inquiry) broughtWith(ctx context.Context, repository, commit string) ([]forge.PullRequest, error) {
	key := strings.ToLower(repository) + " " + commit
	q.mu.Lock()
	known, ok := q.brought[key]
	q.mu.Unlock()
	if ok && q.now.Before(known.until) {
		return known.pulls, nil
	}
	pulls, err := q.history.MergedWith(ctx, repository, commit)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.brought) >= maxBrought {
		clear(q.brought)
	}
	q.brought[key] = brought{pulls, q.now.Add(relabelled)}
	return pulls, nil
}
