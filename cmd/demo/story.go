package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/gittest"
)

// story tells everything in order. Each act ends with what must be true.
func (w *world) story(ctx context.Context) error {
	good, bad := w.artifacts["1.42.0"], w.artifacts["1.43.0"]
	for _, act := range []func() error{
		func() error { return w.baseline(ctx) },
		func() error { return w.goodPromotion(ctx, good) },
		func() error { return w.badPromotion(ctx, bad) },
		func() error { return w.heldPromotion(ctx, bad) },
		func() error { return w.epilogue(ctx) },
	} {
		if err := act(); err != nil {
			return err
		}
	}
	return nil
}

// baseline: nothing runs yet, so Sluice starts what the repository says.
func (w *world) baseline(ctx context.Context) error {
	w.say.chapter("1. The baseline")
	for _, environment := range w.environments {
		if err := w.stable(ctx, environment, "1.41.0"); err != nil {
			return err
		}
	}
	w.say.say("1.41.0 runs in dev, staging and production")
	return nil
}

// a candidate on its way through the environments.
type candidate struct {
	artifact     artifact
	source, base string
}

// goodPromotion goes through dev and staging and then all of production's steps.
func (w *world) goodPromotion(ctx context.Context, a artifact) error {
	w.say.chapter("2. A good promotion: " + a.Version)
	c, err := w.throughStaging(ctx, a)
	if err != nil {
		return err
	}
	pr, head, err := w.forge.propose("production", a, c.source, c.base)
	if err != nil {
		return err
	}
	w.say.say("%s opens pull request #%d: promote %s to production. It waits, and says why:", developer, pr, a.Version)
	if err := w.shows(ctx, head, forge.StatusPending, "check"); err != nil {
		return err
	}
	if err := w.turnGreen(c, head); err != nil {
		return err
	}
	w.say.say("The checks on the source commit and on the pull request turn green:")
	if err := w.shows(ctx, head, forge.StatusPending, "approval"); err != nil {
		return err
	}
	if _, err := w.forge.environments.Approve(releaser, pr); err != nil {
		return err
	}
	w.say.say("%s, who did not write it, approves:", releaser)
	if err := w.shows(ctx, head, forge.StatusSuccess, ""); err != nil {
		return err
	}
	if err := w.merge(pr); err != nil {
		return err
	}
	if err := w.walks(ctx, []int{5, 25, 50, 100}); err != nil {
		return err
	}
	if err := w.stable(ctx, "production", a.Version); err != nil {
		return err
	}
	w.say.say("%s proved itself: it is the stable revision of production", a.Version)
	return nil
}

// turnGreen reports every check that production asks for.
func (w *world) turnGreen(c candidate, head string) error {
	if err := check(w.forge.source, c.source, "test", "sast", "contract-tests"); err != nil {
		return err
	}
	return check(w.forge.environments, head, "validate")
}

// throughStaging builds an artifact and brings it to staging.
func (w *world) throughStaging(ctx context.Context, a artifact) (candidate, error) {
	c := candidate{artifact: a}
	var err error
	if c.source, err = w.forge.build(a); err != nil {
		return c, err
	}
	if err := w.forge.deployToDev(a, c.source); err != nil {
		return c, err
	}
	if c.base, err = w.forge.git("rev-parse", "main"); err != nil {
		return c, err
	}
	if err := w.stable(ctx, "dev", a.Version); err != nil {
		return c, err
	}
	w.say.say("The pipeline pushed %s to dev; it is stable there", a.Version)
	pr, head, err := w.forge.propose("staging", a, c.source, c.base)
	if err != nil {
		return c, err
	}
	if err := check(w.forge.environments, head, "validate"); err != nil {
		return c, err
	}
	if err := w.merge(pr); err != nil {
		return c, err
	}
	if err := w.stable(ctx, "staging", a.Version); err != nil {
		return c, err
	}
	w.say.say("%s is stable in staging", a.Version)
	return c, nil
}

func (w *world) merge(pr int) error {
	sha, err := w.forge.environments.Merge(developer, pr, gittest.MergeCommit)
	if err == nil {
		w.say.say("%s merges #%d as %.8s; nobody tells Sluice", developer, pr, sha)
	}
	return err
}

// badPromotion passes every gate and fails on production's traffic.
func (w *world) badPromotion(ctx context.Context, a artifact) error {
	w.say.chapter("3. A bad promotion: " + a.Version)
	c, err := w.throughStaging(ctx, a)
	if err != nil {
		return err
	}
	pr, head, err := w.forge.propose("production", a, c.source, c.base)
	if err != nil {
		return err
	}
	if err := w.turnGreen(c, head); err != nil {
		return err
	}
	if _, err := w.forge.environments.Approve(releaser, pr); err != nil {
		return err
	}
	w.say.say("Pull request #%d has its checks and its approval: nobody noticed anything", pr)
	if err := w.shows(ctx, head, forge.StatusSuccess, ""); err != nil {
		return err
	}
	if err := w.merge(pr); err != nil {
		return err
	}
	if err := w.walks(ctx, []int{5, 0}); err != nil {
		return err
	}
	w.say.say("All traffic is back at 1.42.0. Git is next:")
	return w.rolledBack(ctx, a)
}

// rolledBack checks the commit that Sluice wrote.
func (w *world) rolledBack(ctx context.Context, bad artifact) error {
	var message string
	err := until(ctx, "the rollback commit on main", func(context.Context) (bool, string, error) {
		var err error
		message, err = w.forge.git("log", "-1", "--format=%B", "main")
		return strings.Contains(message, "Rollback-Id:"), message, err
	})
	if err != nil {
		return err
	}
	w.say.quote(message)
	file, err := w.forge.file("main", w.forge.path("production", "release.yaml"))
	if err != nil {
		return err
	}
	control, err := w.forge.file("main", w.forge.path("production", "control.yaml"))
	if err != nil {
		return err
	}
	switch {
	case !strings.Contains(file, w.artifacts["1.42.0"].Digest):
		return errors.New("the release file does not name the stable digest again")
	case !strings.Contains(control, bad.Digest):
		return errors.New("the bad digest is not on hold")
	case !strings.Contains(message, "Analysis: error-rate"):
		return errors.New("the commit does not carry the measurement")
	}
	w.say.say("The release file is what it was, byte for byte, and control.yaml holds the bad digest:")
	w.say.quote(control)
	return w.stable(ctx, "production", "1.42.0")
}

// heldPromotion tries the same artifact again.
func (w *world) heldPromotion(ctx context.Context, a artifact) error {
	w.say.chapter("4. The same artifact again")
	source, err := w.forge.source.Git().Git("rev-parse", "main")
	if err != nil {
		return err
	}
	staging, err := w.forge.file("main", w.forge.path("staging", "release.yaml"))
	if err != nil {
		return err
	}
	_, base, _ := strings.Cut(staging, "\nbase: ")
	pr, head, err := w.forge.propose("production", artifact{Digest: a.Digest, Version: a.Version + "-again"}, source, strings.Fields(base)[0])
	if err != nil {
		return err
	}
	w.say.say("%s opens #%d with the digest that was rolled back:", developer, pr)
	if err := w.shows(ctx, head, forge.StatusFailure, "hold"); err != nil {
		return err
	}
	return w.forge.environments.Close(pr)
}

// epilogue shows what people find afterwards.
func (w *world) epilogue(ctx context.Context) error {
	w.say.chapter("What git says now")
	log, err := w.forge.git("log", "--oneline", "--first-parent", "main")
	if err != nil {
		return err
	}
	w.say.quote(log)
	w.say.say("and the audit branch, one signed record for everything that was finished:")
	audit, err := w.forge.git("log", "--oneline", "sluice/audit")
	if err != nil {
		return err
	}
	w.say.quote(audit)
	w.say.say("sluice status:")
	status, err := w.sluice(ctx, "status", "--kubeconfig", w.cluster.Kubeconfig)
	if err != nil {
		return err
	}
	w.say.quote(status)
	w.say.say("Everything happened as promised")
	return nil
}

// shows waits until the pull request says what it must say about production.
func (w *world) shows(ctx context.Context, head string, state forge.StatusState, word string) error {
	what := fmt.Sprintf("status sluice/production to be %s", state)
	return until(ctx, what, func(context.Context) (bool, string, error) {
		for _, s := range w.forge.environments.Statuses(head) {
			if s.Context != "sluice/production" {
				continue
			}
			if s.State == state && strings.Contains(strings.ToLower(s.Description), word) {
				w.say.quote(fmt.Sprintf("%s  %s — %s", mark(s.State), s.Context, s.Description))
				return true, "", nil
			}
			return false, fmt.Sprintf("%s: %s", s.State, s.Description), nil
		}
		return false, "no status yet", nil
	})
}

func mark(s forge.StatusState) string {
	switch s {
	case forge.StatusSuccess:
		return "✓ success"
	case forge.StatusFailure, forge.StatusError:
		return "✗ failure"
	case forge.StatusPending:
	}
	return "● pending"
}

// walks watches the weights of production's route until the last one is there.
// Every weight has to be seen, in this order, and no other. What the judge said
// of a step is told when the step is over.
func (w *world) walks(ctx context.Context, weights []int) error {
	next, last, verdict := 0, 0, ""
	return until(ctx, fmt.Sprintf("the weights %v", weights), func(ctx context.Context) (bool, string, error) {
		weight, now, err := w.weight(ctx)
		if err != nil {
			return false, "", err
		}
		switch {
		case weight == last:
			verdict = cmp.Or(now, verdict)
			return false, fmt.Sprintf("%d %%", weight), nil
		case weight != weights[next]:
			return false, "", fmt.Errorf("%w: the candidate has %d %% and not %d %%", errBroken, weight, weights[next])
		}
		if verdict != "" {
			w.say.quote(verdict)
		}
		w.say.say("The candidate gets %3d %% of production's traffic", weight)
		next, last, verdict = next+1, weight, ""
		return next == len(weights), "", nil
	})
}

// weight is the share that the route gives to the revision that is not stable,
// and what the judge says of it.
func (w *world) weight(ctx context.Context) (weight int, verdict string, err error) {
	route, err := w.kube.route(ctx, w.forge.service+"-production", w.forge.service)
	if err != nil {
		return 0, "", err
	}
	i, err := w.item(ctx, "production/"+w.forge.service)
	if err != nil || i.Candidate == nil {
		return 0, "", err
	}
	total, candidate := 0, 0
	for _, ref := range route.Spec.Rules[0].BackendRefs {
		total += int(weightOf(ref))
		if strings.HasSuffix(string(ref.Name), "-"+i.Candidate.ID) {
			candidate += int(weightOf(ref))
		}
	}
	return 100 * candidate / max(total, 1), i.Verdict.Reason, nil
}

// An item is what the demo reads of `sluice status -o json`.
type item struct {
	Release   string    `json:"release"`
	Phase     string    `json:"phase"`
	Title     string    `json:"title"`
	Stable    *revision `json:"stable"`
	Candidate *revision `json:"candidate"`
	Verdict   struct {
		Reason string `json:"reason"`
	} `json:"verdict"`
}

type revision struct {
	ID      string `json:"id"`
	Version string `json:"version"`
}

func (w *world) item(ctx context.Context, release string) (item, error) {
	out, err := w.sluice(ctx, "status", "--kubeconfig", w.cluster.Kubeconfig, "-o", "json")
	if err != nil {
		return item{}, err
	}
	var list struct {
		Items []item `json:"items"`
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return item{}, err
	}
	i := slices.IndexFunc(list.Items, func(i item) bool { return i.Release == release })
	if i < 0 {
		return item{}, fmt.Errorf("no record of %s yet", release)
	}
	return list.Items[i], nil
}

// stable waits until a version is the stable one of an environment and nothing
// else is wanted.
func (w *world) stable(ctx context.Context, environment, version string) error {
	name := environment + "/" + w.forge.service
	began := time.Now()
	return until(ctx, fmt.Sprintf("%s to be stable in %s", version, environment), func(ctx context.Context) (bool, string, error) {
		for _, p := range w.processes {
			if err := p.ended(); err != nil {
				return false, "", err
			}
		}
		i, err := w.item(ctx, name)
		if err != nil {
			return false, "", err
		}
		done := i.Phase == "stable" && i.Stable != nil && i.Stable.Version == version
		return done, fmt.Sprintf("%s is %s after %.0f s: %s", name, i.Phase, time.Since(began).Seconds(), i.Title), nil
	})
}
