package reconciler

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/report"
)

// told is what there is to say on merged pull requests. It is stored, since the
// end of a deployment is told once and the forge may be away just then.
type told struct {
	Schema       int           `json:"schema"`
	PullRequests map[int]story `json:"pullRequests"`
}

// A story is the deployments of one pull request, by release.
type story struct {
	Deployments map[string]report.Deployment `json:"deployments"`
	// Shown identifies the comment that was posted last.
	Shown string    `json:"shown,omitempty"`
	At    time.Time `json:"at"`
}

const (
	toldSchema = 1
	// maxStories and maxToldBytes bound the document; the oldest story goes first.
	maxStories   = 50
	maxToldBytes = 200 << 10
	// maxStoried bounds the releases of one story.
	maxStoried = 100
)

// toldDocument has no dot and so is the name of no release. Daemons that share the
// work each have their own.
func (c *Reconciler) toldDocument() string {
	return strings.Join(append([]string{"reports"}, c.Environments...), "-")
}

// tell notes how far the candidate has come, if that is news.
func (p *pass) tell(ctx context.Context) error {
	number, d := report.Underway(p.record)
	if number == 0 || p.Observe {
		return nil
	}
	return p.note(ctx, number, d, p.now)
}

// tellEnd notes what became of a candidate. Its evidence is owed until that is
// done, so that no end is lost.
func (p *pass) tellEnd(ctx context.Context, e release.Evidence) error {
	number, d := report.Finished(e)
	if number == 0 {
		return nil
	}
	return p.note(ctx, number, d, p.now)
}

// note stores a deployment that is not what was stored.
func (c *Reconciler) note(ctx context.Context, number int, d report.Deployment, now time.Time) error {
	c.telling.Lock()
	defer c.telling.Unlock()
	t, err := c.loadToldLocked(ctx)
	if err != nil {
		return err
	}
	s, ok := t.PullRequests[number]
	known, before := s.Deployments[d.Release]
	if before && (equal(known, d) || known.Over() && d.Repeats(known)) || !before && len(s.Deployments) >= maxStoried {
		return nil
	}
	next := told{toldSchema, maps.Clone(t.PullRequests)}
	s.Deployments = maps.Clone(s.Deployments)
	if !ok || s.Deployments == nil {
		s.Deployments = map[string]report.Deployment{}
	}
	s.Deployments[d.Release], s.At = d, now
	next.PullRequests[number] = s
	next.supersede(number, d.Release, now)
	return c.saveToldLocked(ctx, next)
}

func equal(a, b report.Deployment) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// supersede ends the other stories of a release that never began: its candidate is
// this one now.
func (t told) supersede(by int, name string, now time.Time) {
	for number, s := range t.PullRequests {
		d, ok := s.Deployments[name]
		if number == by || !ok || d.Over() || !d.Began.IsZero() || t.PullRequests[by].Deployments[name].Over() {
			continue
		}
		s.Deployments = maps.Clone(s.Deployments)
		s.Deployments[name], s.At = d.Superseded(by), now
		t.PullRequests[number] = s
	}
}

func (c *Reconciler) loadToldLocked(ctx context.Context) (told, error) {
	if c.told != nil {
		return *c.told, nil
	}
	t := told{toldSchema, map[int]story{}}
	data, version, err := c.Store.Load(ctx, c.toldDocument())
	switch {
	case errors.Is(err, release.ErrNotFound):
	case err != nil:
		return t, fmt.Errorf("load what there is to say on pull requests: %w", err)
	default:
		if err := json.Unmarshal(data, &t); err != nil || t.Schema != toldSchema {
			c.Log.Warn("what was noted for pull requests cannot be read and begins anew", "schema", t.Schema, "error", err)
			t = told{toldSchema, map[int]story{}}
		}
		if t.PullRequests == nil {
			t.PullRequests = map[int]story{}
		}
	}
	c.told, c.toldVersion = &t, version
	return t, nil
}

func (c *Reconciler) saveToldLocked(ctx context.Context, t told) error {
	data, err := t.encode()
	if err != nil {
		return err
	}
	version, err := c.Store.Save(ctx, c.toldDocument(), data, c.toldVersion)
	if err != nil {
		c.told = nil // somebody else's may be newer
		return fmt.Errorf("save what there is to say on pull requests: %w", err)
	}
	c.told, c.toldVersion = &t, version
	return nil
}

// encode drops the oldest stories until the others fit.
func (t told) encode() ([]byte, error) {
	oldest := slices.SortedFunc(maps.Keys(t.PullRequests), func(a, b int) int {
		return cmp.Or(t.PullRequests[a].At.Compare(t.PullRequests[b].At), cmp.Compare(a, b))
	})
	for {
		data, err := json.Marshal(t)
		if err != nil || len(oldest) <= maxStories && len(data) <= maxToldBytes || len(oldest) <= 1 {
			return data, err
		}
		delete(t.PullRequests, oldest[0])
		oldest = oldest[1:]
	}
}

// reportDeployments posts what is new about deployments.
func (c *Reconciler) reportDeployments(ctx context.Context) error {
	if c.Observe {
		return nil
	}
	c.telling.Lock()
	t, err := c.loadToldLocked(ctx)
	c.telling.Unlock()
	errs := []error{err}
	for _, number := range slices.Sorted(maps.Keys(t.PullRequests)) {
		if err := c.reportDeployment(ctx, number, t.PullRequests[number]); err != nil {
			errs = append(errs, fmt.Errorf("report the deployment of #%d: %w", number, err))
		}
	}
	return errors.Join(errs...)
}

func (c *Reconciler) reportDeployment(ctx context.Context, number int, s story) error {
	var deployments []report.Deployment
	for _, name := range slices.Sorted(maps.Keys(s.Deployments)) {
		deployments = append(deployments, s.Deployments[name])
	}
	comment := report.Deployed(strings.Join(c.Environments, ","), deployments)
	content, err := digestOf(comment)
	if err != nil || content == s.Shown || c.deniedUntil(number).After(time.Now()) {
		return err
	}
	err = c.Announcer.Comment(ctx, number, comment)
	var rejected *forge.RejectedError
	switch {
	case errors.As(err, &rejected):
		c.deny(number, time.Now().Add(quietPause))
		return err
	case err != nil:
		return err
	}
	c.Log.Info("reported a deployment", "pullRequest", number)
	return c.noteShown(ctx, number, content)
}

func (c *Reconciler) noteShown(ctx context.Context, number int, content string) error {
	c.telling.Lock()
	defer c.telling.Unlock()
	t, err := c.loadToldLocked(ctx)
	if err != nil {
		return err
	}
	s, ok := t.PullRequests[number]
	if !ok {
		return nil
	}
	next := told{toldSchema, maps.Clone(t.PullRequests)}
	s.Shown = content
	next.PullRequests[number] = s
	return c.saveToldLocked(ctx, next)
}

func (c *Reconciler) deniedUntil(number int) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.denied[number]
}

func (c *Reconciler) deny(number int, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.denied) > maxAnnounced {
		clear(c.denied)
	}
	c.denied[number] = until
}
