package github_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/conformance"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/forge/github"
	"github.com/sluice-cd/sluice/gitsource/gittest"
)

func TestConformance(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.World {
		opts := forgetest.Options{
			MaxPerPage: 50,
			Users: []forgetest.User{
				{Login: "sluice", ID: 11, Token: token, Kind: "Bot"},
				{Login: conformance.Alice, ID: 12}, {Login: conformance.Bob, ID: 13}, {Login: conformance.Carol, ID: 14}, {Login: "dana", ID: 15},
			},
			Apps:  []forgetest.App{{Slug: "alice-ci", ID: 101}, {Slug: "bob-ci", ID: 102}},
			Teams: []forgetest.Team{{Org: "acme", Slug: "payments", Members: []string{conformance.Bob, "dana"}}},
			Repositories: []forgetest.RepositoryOptions{{FullName: repoName, Permissions: map[string]string{
				"sluice": "admin", conformance.Alice: "write", conformance.Bob: "write", conformance.Carol: "read", "dana": "write",
			}}},
		}
		return &fake{t: t, world: worldOf(t, opts), opts: opts}
	})
}

// A fake is the GitHub that fits into a process, as a world of the suite.
type fake struct {
	*world
	t    *testing.T
	opts forgetest.Options
}

func (f *fake) Repository() string         { return repoName }
func (f *fake) Driver() conformance.Driver { return f.client }
func (f *fake) Email(login string) string  { return login + "@example.com" }

func (f *fake) Account(login string) forge.User {
	for _, user := range f.opts.Users {
		if user.Login == login {
			return forge.User{ID: user.ID, Login: login, Kind: "User"}
		}
	}
	require.FailNow(f.t, "nobody is "+login)
	return forge.User{}
}

func (f *fake) Renamed() forge.User {
	require.NoError(f.t, f.forge.Rename("dana", "dina"))
	return f.Account("dana")
}

func (f *fake) Tip(revision string) string { return must(f.t)(f.repo.Git().SHA(revision)) }

func (f *fake) Push(as string, c conformance.Commit) string {
	if _, err := f.repo.Git().SHA("refs/heads/" + c.Branch); err != nil {
		require.NoError(f.t, f.repo.Branch(as, c.Branch, "main"))
	}
	if !strings.Contains(c.Author, "<") {
		c.Author += " <" + f.Email(c.Author) + ">"
	}
	return must(f.t)(f.repo.PushAs(as, c.Author, c.Branch, c.Message, c.Files))
}

func (f *fake) Reset(as, branch, commit string) {
	require.NoError(f.t, f.repo.Branch(as, branch, commit))
}

func (f *fake) Open(as, title, head, base string) int {
	number, err := f.repo.OpenPR(as, title, head, base)
	require.NoError(f.t, err)
	return number
}

func (f *fake) Review(as string, number int, state forge.ReviewState) int64 {
	submit := map[forge.ReviewState]func(string, int) (int64, error){
		forge.Approved: f.repo.Approve, forge.ChangesRequested: f.repo.RequestChanges, forge.Commented: f.repo.Comment,
	}[state]
	id, err := submit(as, number)
	require.NoError(f.t, err)
	return id
}

func (f *fake) Dismiss(as string, number int, review int64) {
	require.NoError(f.t, f.repo.Dismiss(as, number, review))
}

func (f *fake) Merge(as string, number int, method string) string {
	return must(f.t)(f.repo.Merge(as, number, gittest.Method(method)))
}

func (f *fake) Retarget(as string, number int, base string) {
	require.NoError(f.t, f.repo.Retarget(as, number, base))
}

func (f *fake) Report(as, commit, name, outcome string) {
	run := forge.Check{Commit: commit, Name: name, Status: "completed", Conclusion: outcome}
	if outcome == "running" {
		run.Status, run.Conclusion = "in_progress", ""
	}
	_, err := f.repo.CheckRun(f.Reporter(as), run)
	require.NoError(f.t, err)
}

func (f *fake) Reporter(login string) string { return login + "-ci" }

func (f *fake) Statuses(commit, context string) []forge.StatusState {
	var states []forge.StatusState
	for _, record := range f.repo.Statuses(commit) {
		if record.Context == context {
			states = append(states, record.State)
		}
	}
	return states
}

func (f *fake) Protect(branch string, approvals int) {
	require.NoError(f.t, f.repo.Protect(branch, forgetest.Protection{Approvals: approvals}))
}

func (f *fake) Ready(int) {} // at once

var _ conformance.Driver = (*github.Client)(nil)

func (f *fake) Say(as string, number int, body string) {
	_, err := f.repo.Remark(as, number, body)
	require.NoError(f.t, err)
}

func (f *fake) Said(number int) []string {
	var bodies []string
	for _, c := range f.repo.Comments(number) {
		bodies = append(bodies, c.Body)
	}
	return bodies
}
