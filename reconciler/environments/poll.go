package environments

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

// Begin is the record of the baseline that an operator names.
func (r *Repository) Begin(ctx context.Context, genesis string) (intake.Repository, error) {
	tip, err := r.git.Tip(ctx)
	if err != nil {
		return intake.Repository{}, err
	}
	commit, err := r.git.Commit(genesis)
	if err != nil {
		return intake.Repository{}, fmt.Errorf("read the baseline %s: %w", genesis, err)
	}
	if on, err := r.line.contains(genesis, tip); err != nil || !on {
		return intake.Repository{}, errors.Join(err, fmt.Errorf("read the baseline %.12s: it is not a commit of branch %s", genesis, r.branch))
	}
	rules, err := r.Rules(genesis)
	if err != nil {
		return intake.Repository{}, fmt.Errorf("read the baseline: %w", err)
	}
	if reason, err := r.newTeams(ctx, nil, teamsOf(rules.Policy)); reason != "" || errors.Is(err, ErrStuck) {
		return intake.Repository{}, fmt.Errorf("read the baseline: its policy cannot be used: %w", cmp.Or(err, errors.New(reason)))
	}
	names, err := r.releases(rules, genesis)
	if err != nil {
		return intake.Repository{}, err
	}
	snapshots, err := r.snapshots(rules, genesis, names)
	if err != nil {
		return intake.Repository{}, err
	}
	return intake.Begin(genesis, commit.Time, snapshots), nil
}

// ErrStuck is wrapped by an error of Poll that only a person can mend. It says how.
var ErrStuck = errors.New("reading waits for a person")

// Poll reads on from the record's mark. It costs one request when nothing
// changed. When the history was rewritten the record comes back frozen. After
// an error the record holds everything up to the commit that the error is
// about, and Poll may be called again.
func (r *Repository) Poll(ctx context.Context, record intake.Repository, now time.Time) (intake.Repository, error) {
	if record.Frozen != "" {
		return record, nil
	}
	tip, err := r.git.Tip(ctx)
	if err != nil || tip == record.Mark {
		return record, err
	}
	commits, err := r.git.Range(record.Mark, tip)
	if errors.Is(err, gitsource.ErrRewritten) || errors.Is(err, gitsource.ErrUnknownCommit) {
		return intake.Freeze(record, fmt.Sprintf(
			"the history of %s was rewritten: %.12s does not follow %.12s; put the branch back, or start with --genesis %s to accept it",
			r.branch, tip, record.Mark, tip)), nil
	}
	if err != nil {
		return record, err
	}
	for len(commits) > 0 {
		step, n, err := r.step(ctx, record, commits, now)
		if err != nil {
			return record, fmt.Errorf("read commit %.12s: %w", commits[0].SHA, err)
		}
		if record, err = intake.Fold(record, step); err != nil {
			return record, err
		}
		commits = commits[n:]
	}
	return record, nil
}

// step gathers what the first commit did. Where something about it had to be
// decided by a review, the step is the whole range of its pull request: what was
// reviewed is what the range adds up to, and no state in between may govern.
func (r *Repository) step(ctx context.Context, record intake.Repository, commits []gitsource.Commit, now time.Time) (step intake.Step, n int, err error) {
	q := r.inquire(now)
	for end := 0; ; {
		d := decider{inquiry: q, record: record, commit: commits[end]}
		if step, err = d.step(ctx); err != nil {
			return step, 0, err
		}
		last := slices.IndexFunc(commits, func(c gitsource.Commit) bool { return c.SHA == d.ends })
		if last <= end {
			return step, end + 1, nil
		}
		end = last
	}
}

// touched lists the releases whose state may differ after the changes.
func (r *Repository) touched(rules Rules, commit string, changes []gitsource.Change, all bool) ([]string, error) {
	seen, frozen := map[string]bool{}, map[string]bool{}
	for _, c := range changes {
		top, rest, _ := strings.Cut(c.Path, "/")
		name, _, below := strings.Cut(rest, "/")
		switch {
		case rest == controlFile:
			frozen[top] = true
		case !below || !schemas.IsServiceName(name):
		case top == "services":
			seen[rules.Policy.Environments[0].Name+"/"+name] = true
		case rules.Policy.Index(top) >= 0:
			seen[top+"/"+name] = true
		}
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	if all || len(frozen) > 0 {
		every, err := r.releases(rules, commit)
		if err != nil {
			return nil, err
		}
		for _, name := range every {
			if environment, _, _ := strings.Cut(name, "/"); all || frozen[environment] {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// releases lists every release of a commit.
func (r *Repository) releases(rules Rules, commit string) ([]string, error) {
	var names []string
	for _, e := range rules.Policy.Environments {
		services, err := r.directories(commit, e.Name)
		if err != nil {
			return nil, err
		}
		for _, s := range services {
			names = append(names, e.Name+"/"+s)
		}
	}
	return names, nil
}

func (r *Repository) snapshots(rules Rules, commit string, names []string) (map[string]intake.Snapshot, error) {
	out := make(map[string]intake.Snapshot, len(names))
	for _, name := range names {
		key, err := release.ParseKey(name)
		if err != nil {
			return nil, err
		}
		f, err := r.readFiles(rules, key, commit)
		var fault unusable
		switch {
		case errors.As(err, &fault):
			out[name] = intake.Snapshot{Problem: fault.Error(), Control: f.control}
		case err != nil:
			return nil, err
		default:
			out[name] = intake.Snapshot{Inputs: f.inputs, Control: f.control}
		}
	}
	return out, nil
}
