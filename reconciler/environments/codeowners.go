package environments

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/hmarr/codeowners"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
)

// ownerFiles are the places of CODEOWNERS in the order in which GitHub looks;
// the first one that is there counts alone.
func ownerFiles() []string {
	return []string{".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"}
}

// Limits of a CODEOWNERS file. The parser would leave out without a word what
// comes after a line that is too long for it.
const (
	maxOwnersBytes = 1 << 20
	maxOwnersLine  = 8 << 10
)

// An ownership is the CODEOWNERS file of one commit.
type ownership struct {
	file  string // "" where there is none
	rules codeowners.Ruleset
	fault string // why it cannot be used
}

// ownership reads the CODEOWNERS file of a commit.
func (r *Repository) ownership(commit string) (ownership, error) {
	return cached(&r.mu, r.owners, maxRules, commit, func() (ownership, error) { return r.readOwnership(commit) })
}

func (r *Repository) readOwnership(commit string) (ownership, error) {
	for _, file := range ownerFiles() {
		data, err := r.read(commit, file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var fault unusable
		switch err = blame(err); {
		case errors.As(err, &fault):
			return ownership{file: file, fault: fault.Error()}, nil
		case err != nil:
			return ownership{}, err
		}
		rules, err := parseOwners(data)
		if err != nil {
			return ownership{file: file, fault: err.Error()}, nil //nolint:nilerr // a broken file is an answer
		}
		return ownership{file: file, rules: rules}, nil
	}
	return ownership{}, nil
}

// parseOwners refuses what GitHub passes over: a line that nobody understands
// would leave its files without an owner.
func parseOwners(data []byte) (codeowners.Ruleset, error) {
	if len(data) > maxOwnersBytes {
		return nil, fmt.Errorf("it has %d bytes, the limit is %d", len(data), maxOwnersBytes)
	}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		pattern, _, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		switch {
		case len(line) > maxOwnersLine:
			return nil, fmt.Errorf("line %d has %d bytes, the limit is %d", n, len(line), maxOwnersLine)
		case strings.Trim(pattern, "/") == "" && pattern != "", strings.HasPrefix(pattern, "!"), strings.ContainsAny(pattern, "[]"):
			return nil, fmt.Errorf("line %d: pattern %q is none that GitHub knows", n, pattern)
		}
	}
	return codeowners.ParseFile(bytes.NewReader(data))
}

// teams lists the teams that a file names.
func (o ownership) teams() []string {
	var out []string
	for _, rule := range o.rules {
		for _, owner := range rule.Owners {
			if owner.Type == codeowners.TeamOwner && !slices.Contains(out, owner.Value) {
				out = append(out, owner.Value)
			}
		}
	}
	return out
}

// sections groups paths by the line that says whose they are. Where the last
// line that fits names nobody, they are nobody's.
func (o ownership) sections(paths []string) ([]gate.Section, error) {
	var out []gate.Section
	for _, path := range paths {
		rule, err := o.rules.Match(path)
		if err != nil {
			return nil, fmt.Errorf("match %q with %s: %w", path, o.file, err)
		}
		if rule == nil || len(rule.Owners) == 0 {
			continue
		}
		at := slices.IndexFunc(out, func(s gate.Section) bool { return s.Line == rule.LineNumber })
		if at >= 0 {
			out[at].More++
			continue
		}
		s := gate.Section{File: o.file, Line: rule.LineNumber, Path: path}
		for _, owner := range rule.Owners {
			if owner.Type == codeowners.EmailOwner {
				s.Unresolved = append(s.Unresolved, owner.Value)
			} else {
				s.Owners = append(s.Owners, owner.Value)
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// assign adds whose the paths of a change are by the CODEOWNERS file in force,
// and which of its reviewers are among them.
func (q *inquiry) assign(ctx context.Context, inForce string, g *gate.Change) error {
	owners, err := q.ownership(inForce)
	if err != nil {
		return err
	}
	if owners.fault != "" {
		g.Sections.Fault = fmt.Sprintf("%s of %.12s cannot be used: %s", owners.file, inForce, owners.fault)
		return nil
	}
	if g.Sections.List, err = owners.sections(g.Paths); err != nil || g.PullRequest == nil || g.Unknown != "" {
		return err
	}
	users := reviewers(g.Reviews)
	for _, s := range g.Sections.List {
		for _, owner := range s.Owners {
			if err := q.enrol(ctx, g, owner, users); err != nil {
				return err
			}
		}
	}
	return nil
}

// enrol adds which users are an owner. A team that cannot be read stays absent.
func (q *inquiry) enrol(ctx context.Context, g *gate.Change, owner string, users []forge.User) error {
	if _, known := g.Members[owner]; known || g.Members == nil {
		return nil
	}
	members, err := q.members(ctx, owner, users)
	if err == nil {
		g.Members[owner] = members
	}
	return ctx.Err()
}

// ownersFault says why a commit's CODEOWNERS cannot replace the one in force, ""
// when it can. One that was broken before is no worse.
func (r *Repository) ownersFault(inForce, commit string) (string, error) {
	before, err := r.ownership(inForce)
	if err != nil {
		return "", err
	}
	after, err := r.ownership(commit)
	if err != nil || after.fault == "" || before.fault != "" {
		return "", err
	}
	return fmt.Sprintf("%s cannot be used: %s", after.file, after.fault), nil
}
