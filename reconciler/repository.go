package reconciler

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// RepositoryDocument is the name of what was read of git. It has no dot and so is
// that of no release.
const RepositoryDocument = "repository"

// Recover loads what was read of git, or begins with the baseline. Run calls it.
func (c *Reconciler) Recover(ctx context.Context) error {
	data, version, err := c.Store.Load(ctx, RepositoryDocument)
	if errors.Is(err, release.ErrNotFound) {
		return c.begin(ctx, "")
	}
	if err != nil {
		return err
	}
	record, err := intake.Decode(data)
	if err != nil {
		return err
	}
	if c.Genesis != "" && c.Genesis != record.Genesis {
		c.Log.Warn("beginning anew with another baseline", "genesis", c.Genesis, "before", record.Genesis, "frozen", record.Frozen)
		return c.begin(ctx, version)
	}
	c.publish(record, version, record.Names())
	return nil
}

// begin takes the baseline that an operator named.
func (c *Reconciler) begin(ctx context.Context, version string) error {
	if c.Genesis == "" {
		return errors.New("start for the first time: name the commit to begin with: --genesis <sha>, usually the tip of the branch")
	}
	began := time.Now()
	record, err := c.Source.Begin(ctx, c.Genesis)
	if err != nil {
		return err
	}
	c.readUntil(began, nil)
	return c.saveRepository(ctx, record, version, record.Names())
}

// IntakeOnce reads what is new on the branch. Where only a person can make the
// reading go on, the record says so and what was read before stays in force.
func (c *Reconciler) IntakeOnce(ctx context.Context) error {
	before, version := c.known()
	began := time.Now()
	after, err := c.Source.Poll(ctx, before, began)
	if after.Mark != before.Mark {
		after = c.settled(after)
		if _, large := intake.Encode(after); errors.Is(large, intake.ErrTooLarge) {
			err = fmt.Errorf("read from %.12s to %.12s: %w; take out of the branch what fills it, and the reading goes on", before.Mark, after.Mark, large)
			after = before
		}
	}
	c.readUntil(began, err)
	switch {
	case err == nil:
		after.Waiting = ""
	case errors.Is(err, environments.ErrStuck), errors.Is(err, intake.ErrTooLarge):
		after, err = intake.Wait(after, err.Error()), nil
	}
	if after.Mark == before.Mark && after.Frozen == before.Frozen && after.Waiting == before.Waiting {
		return err
	}
	c.complain(before, after)
	return errors.Join(err, c.saveRepository(ctx, after, version, changed(before, after)))
}

// complain says once what only a person can mend.
func (c *Reconciler) complain(before, after intake.Repository) {
	said := before.Troubles()
	for _, trouble := range after.Troubles() {
		if !slices.Contains(said, trouble) {
			c.Log.Error("the branch is not followed", "mark", after.Mark, "reason", trouble)
		}
	}
}

// settled drops the changes whose proof is behind them, so that what git has
// asked for since the beginning is not carried along for ever.
func (c *Reconciler) settled(r intake.Repository) intake.Repository {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, s := range c.records {
		if stable := s.record.Stable; stable != nil {
			r = intake.Settle(r, key.String(), func(inputs string) bool { return inputs == stable.Inputs })
		}
	}
	return r
}

// changed lists the releases that have to be looked at. A policy concerns all.
func changed(before, after intake.Repository) []string {
	if before.Policy != after.Policy {
		return after.Names()
	}
	var out []string
	for name, r := range after.Releases {
		if old, ok := before.Releases[name]; !ok || !reflect.DeepEqual(old, r) {
			out = append(out, name)
		}
	}
	for name := range before.Releases {
		if _, ok := after.Releases[name]; !ok {
			out = append(out, name)
		}
	}
	return out
}

func (c *Reconciler) saveRepository(ctx context.Context, record intake.Repository, version string, names []string) error {
	data, err := intake.Encode(record)
	if err != nil {
		return err
	}
	version, err = c.Store.Save(ctx, RepositoryDocument, data, version)
	if errors.Is(err, release.ErrConflict) {
		return errors.Join(err, c.Recover(ctx))
	}
	if err != nil {
		return err
	}
	c.Log.Info("read the branch", "mark", record.Mark, "policy", record.Policy, "releases", len(names))
	c.publish(record, version, names)
	return nil
}

// publish makes a saved record the one that passes work with.
func (c *Reconciler) publish(record intake.Repository, version string, names []string) {
	c.mu.Lock()
	c.repository, c.repositoryVersion = record, version
	c.mu.Unlock()
	for _, name := range names {
		key, err := release.ParseKey(name)
		if err == nil {
			c.Wake(key)
		}
	}
}

// readUntil remembers how far a reading that began at an instant came.
func (c *Reconciler) readUntil(began time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.readErr = err; err == nil {
		c.readAt = began
	}
}

// unread says why nothing may begin when the branch was last read in full longer
// ago than the limit: a hold, a pause or another policy may have come since.
func (c *Reconciler) unread(now time.Time, limit time.Duration) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	why := ""
	if c.readErr != nil {
		why = " (" + strings.ReplaceAll(c.readErr.Error(), "\n", "; ") + ")"
	}
	switch {
	case c.readAt.IsZero():
		return "the branch has not been read since the start" + why
	case now.Sub(c.readAt) > limit:
		return "the branch has not been read to its end since " + c.readAt.UTC().Format(time.RFC3339) + "; a hold may have come meanwhile" + why
	}
	return ""
}

// maxUnread is how old what was read may be when a rollout begins, however seldom
// the branch is polled.
const maxUnread = time.Minute

func (c *Reconciler) known() (intake.Repository, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.repository, c.repositoryVersion
}

func (c *Reconciler) ours(key release.Key) bool {
	return len(c.Environments) == 0 || slices.Contains(c.Environments, key.Environment)
}

// stored is a record in the version that it was saved or loaded as.
type stored struct {
	record  release.Record
	version string
}

// load is the newest saved record of a release. It is asked for in every pass,
// since one that changes no record is fenced by nothing else: what a daemon
// remembers that was stopped for a while, or runs beside another, would undo what
// was decided meanwhile. A release that was never seen gets a new one, which is
// not saved yet.
func (c *Reconciler) load(ctx context.Context, key release.Key, now time.Time) (stored, error) {
	c.mu.Lock()
	known, ok := c.records[key]
	c.mu.Unlock()
	data, version, err := c.Store.Load(ctx, document(key))
	if errors.Is(err, release.ErrNotFound) {
		c.drop(key)
		return stored{record: release.New(key, now)}, nil
	}
	if err != nil {
		return known, fmt.Errorf("load the record of %s: %w", key, err)
	}
	if ok && version == known.version {
		return known, nil
	}
	record, err := release.Decode(data)
	if err == nil && record.Key != key {
		err = fmt.Errorf("it is the record of %s", record.Key)
	}
	if err != nil {
		return known, fmt.Errorf("load the record of %s: %w", key, err)
	}
	return c.keep(stored{record, version}), nil
}

// document is the name under which a release's record is stored.
func document(key release.Key) string { return key.Environment + "." + key.Service }

func (c *Reconciler) keep(s stored) stored {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.records[s.record.Key] = s
	return s
}

func (c *Reconciler) drop(key release.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.records, key)
}

// save stores a record in place of the version that it was made from. Whatever
// goes wrong, what is in memory is no longer trusted.
func (c *Reconciler) save(ctx context.Context, s stored) (stored, error) {
	data, err := release.Encode(s.record)
	if err != nil {
		return s, err
	}
	version, err := c.Store.Save(ctx, document(s.record.Key), data, s.version)
	if err != nil {
		c.drop(s.record.Key)
		return s, err
	}
	return c.keep(stored{s.record, version}), nil
}
