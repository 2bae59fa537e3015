package environments

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/schemas"
)

// A team that nobody can read never answers who is in it, so that every change
// that it would have to approve stays undecided. One that is new in a policy is
// looked up before the policy is accepted.

// A hiddenTeam is one that the forge does not know or does not show.
type hiddenTeam struct {
	name string
	err  error
}

// Error says what to do. A forge answers alike for a team that does not exist and
// for one that the credentials may not see.
func (h *hiddenTeam) Error() string {
	return fmt.Sprintf("team %s cannot be read: there is no such team, or Sluice's credentials may not see it (%v); correct its name, or let them read the organization's members", h.name, h.err)
}

func (h *hiddenTeam) Unwrap() error { return h.err }

// teamsOf lists the teams that a policy asks about. Who is named by login is no
// team.
func teamsOf(p schemas.Policy) []string {
	teams := slices.Clone(p.Owners)
	for _, e := range p.Environments {
		teams = append(teams, e.Approvals.Teams...)
	}
	slices.Sort(teams)
	return slices.DeleteFunc(slices.Compact(teams), func(team string) bool { return !strings.Contains(team, "/") })
}

// allTeams lists the teams that the rules of a commit ask about, CODEOWNERS
// included.
func (r *Repository) allTeams(commit string) ([]string, error) {
	rules, err := r.Rules(commit)
	if err != nil {
		return nil, err
	}
	owners, err := r.ownership(commit)
	return append(teamsOf(rules.Policy), owners.teams()...), err
}

// findTeams fails with a *hiddenTeam for the first one that cannot be read. Any
// other error says that the forge did not answer.
func (r *Repository) findTeams(ctx context.Context, teams []string) error {
	for _, team := range teams {
		err := r.forge.FindTeam(ctx, team)
		var rejected *forge.RejectedError
		if errors.As(err, &rejected) {
			return &hiddenTeam{team, err}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// newTeams says why rules cannot be accepted on top of others: "" when the teams
// that they bring can all be read.
func (r *Repository) newTeams(ctx context.Context, before, after []string) (reason string, err error) {
	added := slices.DeleteFunc(slices.Clone(after), func(team string) bool { return slices.Contains(before, team) })
	err = r.findTeams(ctx, added)
	var hidden *hiddenTeam
	switch {
	case errors.Is(err, forge.ErrNotFound):
		return "with it nobody could approve anything that needs its teams: " + err.Error(), nil
	case errors.As(err, &hidden):
		return "", fmt.Errorf("%w: %w", ErrStuck, err)
	}
	return "", err
}

// undecided is the error of a change that needs a team's approval and about which
// the forge left something open.
func (r *Repository) undecided(ctx context.Context, why string, teams []string) error {
	err := fmt.Errorf("ask who approved it: %s", why)
	teams = slices.DeleteFunc(slices.Clone(teams), func(team string) bool { return !strings.Contains(team, "/") })
	var hidden *hiddenTeam
	if errors.As(r.findTeams(ctx, teams), &hidden) {
		return fmt.Errorf("%w: %w; then the reading goes on by itself. To vouch for everything up to a commit instead, start with --genesis <sha>", ErrStuck, hidden)
	}
	return err
}
