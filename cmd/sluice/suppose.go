package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/schemas"
)

// A supposition is a forge on which somebody has approved one pull request and
// some checks have succeeded. Everything else, and whether that approval would
// count, is what the forge says.
type supposition struct {
	environments.Forge
	pull      forge.PullRequest
	approvals []forge.User
	checks    []schemas.Check
	own       string // the environments repository
	at        time.Time
}

// Reviews adds an approval of the head.
func (s *supposition) Reviews(ctx context.Context, number int) ([]forge.Review, error) {
	reviews, err := s.Forge.Reviews(ctx, number)
	if err != nil || number != s.pull.Number {
		return reviews, err
	}
	reviews = slices.Clone(reviews)
	last := int64(0)
	for _, r := range reviews {
		last = max(last, r.ID)
	}
	for i, user := range s.approvals {
		reviews = append(reviews, forge.Review{
			ID: last + int64(i) + 1, User: user, State: forge.Approved, Commit: s.pull.Head.Commit, SubmittedAt: s.at,
		})
	}
	return reviews, nil
}

// Checks adds a success by the app that the policy names.
func (s *supposition) Checks(ctx context.Context, repository, commit string) ([]forge.Check, error) {
	runs, err := s.Forge.Checks(ctx, repository, commit)
	if err != nil {
		return runs, err
	}
	runs = slices.Clone(runs)
	last := int64(0)
	for _, r := range runs {
		last = max(last, r.ID)
	}
	for i, check := range s.checks {
		if (check.On == schemas.OnMerge) != strings.EqualFold(repository, s.own) {
			continue
		}
		runs = append(runs, forge.Check{
			ID: last + int64(i) + 1, App: check.App, AppID: appID(check.App, runs), Name: check.Name,
			Commit: commit, Status: "completed", Conclusion: "success", CompletedAt: s.at,
		})
	}
	return runs, nil
}

// appID is that of an app which the policy names by number or which has run here;
// 0 otherwise.
func appID(app string, runs []forge.Check) int64 {
	if id, err := strconv.ParseInt(app, 10, 64); err == nil {
		return id
	}
	i := slices.IndexFunc(runs, func(r forge.Check) bool { return r.App == app })
	if i < 0 {
		return 0
	}
	return runs[i].AppID
}

// ifs are the suppositions of a command line.
type ifs struct {
	approve []string // logins
	checks  []string // gates, or names of checks
}

func parseIfs(given []string) (ifs, error) {
	var out ifs
	for _, one := range given {
		what, list, ok := strings.Cut(one, "=")
		names := strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
		switch {
		case !ok || len(names) == 0:
			return out, fmt.Errorf("--if %s: write approve=alice,bob or check=tests", one)
		case what == "approve":
			out.approve = append(out.approve, names...)
		case what == "check":
			out.checks = append(out.checks, names...)
		default:
			return out, fmt.Errorf("--if %s: only approve=… and check=… can be supposed", one)
		}
	}
	return out, nil
}

// An accountant finds accounts by login.
type accountant interface {
	Account(ctx context.Context, login string) (forge.User, error)
}

// people asks who the logins are: gates compare accounts, never names.
func (i ifs) people(ctx context.Context, hub any) ([]forge.User, error) {
	var out []forge.User
	for _, login := range i.approve {
		ask, ok := hub.(accountant)
		if !ok {
			return nil, errors.New("--if approve: this version cannot find accounts by their login on this forge")
		}
		user, err := ask.Account(ctx, login)
		if errors.Is(err, forge.ErrNotFound) {
			return nil, fmt.Errorf("--if approve=%s: the forge knows nobody of that name", login)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, user)
	}
	return out, nil
}

// named are the policy's checks of these names.
func (i ifs) named(policy schemas.Policy) ([]schemas.Check, error) {
	var out []schemas.Check
	var known []string
	for _, name := range i.checks {
		found := false
		for _, e := range policy.Environments {
			for _, check := range e.Checks {
				known = append(known, check.Gate)
				if check.Gate == name || check.Name == name {
					found = true
					out = append(out, check)
				}
			}
		}
		if !found {
			slices.Sort(known)
			return nil, fmt.Errorf("--if check=%s: the policy has %s", name, strings.Join(slices.Compact(known), ", "))
		}
	}
	return out, nil
}
