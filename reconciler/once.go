package reconciler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// A pass is one look at one release.
type pass struct {
	*Reconciler
	key    release.Key
	now    time.Time
	git    intake.Repository
	of     intake.Release // what git says of the release
	saved  stored
	record release.Record
	moves  []move // not saved yet
	moved  bool   // something saved in this pass makes another one worth while

	rules environments.Rules
	// planned is where the policy in force puts the release, and lost why it
	// cannot be told. What runs already stays where it is.
	planned release.Place
	lost    error

	observed release.Observed // zero where the cluster was not asked
	notes    []string         // what people should know although nothing failed
	again    time.Time        // when to look again besides what the record says
}

// A move is a change of phase or step, said once it is saved.
type move struct {
	from, to release.Phase
	weight   int
	reason   string
}

// Once makes one pass over a release and says when to make the next one. An
// error means that something could not be asked or done; whatever could be
// done without it was done.
func (c *Reconciler) Once(ctx context.Context, key release.Key) (time.Time, error) {
	p, err := c.newPass(ctx, key)
	if err != nil {
		c.failed(key, err)
		return time.Time{}, err
	}
	err = errors.Join(p.follow(ctx), p.look(ctx), p.measure(ctx), p.prove(ctx), p.soak(ctx), p.settleBackfills(ctx))
	p.apply(release.Tick{})
	if unsaved := p.save(ctx); unsaved != nil {
		err = errors.Join(err, unsaved)
		c.failed(key, err)
		return time.Time{}, err
	}
	err = errors.Join(err, p.converge(ctx), p.pay(ctx), p.tell(ctx))
	p.trouble(err)
	err = errors.Join(err, p.save(ctx))
	if err == nil && (p.moved || p.owesMore()) {
		return p.now, nil // look at once at what the change has done
	}
	return earlier(p.again, release.Wake(p.record, p.now)), err
}

func (c *Reconciler) newPass(ctx context.Context, key release.Key) (*pass, error) {
	now := time.Now().UTC()
	saved, err := c.load(ctx, key, now)
	if err != nil {
		return nil, err
	}
	return c.passOver(key, saved, now), nil
}

func (c *Reconciler) passOver(key release.Key, saved stored, now time.Time) *pass {
	git, _ := c.known()
	p := &pass{Reconciler: c, key: key, now: now, git: git, of: git.Releases[key.String()], saved: saved, record: saved.record}
	var err error
	if p.rules, err = c.Releases.Rules(git.Policy); err != nil {
		p.lost = fmt.Errorf("read the policy in force: %w", err)
		return p
	}
	p.planned, p.lost = locate(p.rules, key)
	return p
}

// apply moves the record on.
func (p *pass) apply(e release.Event) {
	before := p.record
	p.record = release.Next(before, e, p.now)
	if before.Phase != p.record.Phase || before.Rollout.Step != p.record.Rollout.Step {
		p.moves = append(p.moves, move{before.Phase, p.record.Phase, release.Desired(p.record).Traffic.Weight, p.record.Reason})
	}
}

// save stores what was decided, before any of it is done.
func (p *pass) save(ctx context.Context) error {
	if p.record.Seq == p.saved.record.Seq {
		return nil
	}
	saved, err := p.Reconciler.save(ctx, stored{record: p.record, version: p.saved.version})
	if err != nil {
		return fmt.Errorf("save the record of %s: %w", p.key, err)
	}
	for _, m := range p.moves {
		p.Log.Info("release moved", "release", p.key.String(),
			"from", string(m.from), "to", string(m.to), "weight", m.weight, "reason", m.reason)
	}
	p.sayBackfills()
	p.moved = p.moved || len(p.moves) > 0
	p.saved, p.moves = saved, nil
	return nil
}

// look asks the cluster how far the saved record's state has come.
func (p *pass) look(ctx context.Context) error {
	r := p.saved.record
	if !release.Looking(r) {
		return nil
	}
	v, err := p.view(ctx, r)
	if err != nil {
		return err
	}
	observed, err := p.Cluster.Observe(ctx, p.key, v.state, v.manifests, v.place)
	if err != nil {
		return fmt.Errorf("look at %s: %w", p.key, err)
	}
	p.observed = observed
	if p.record.Seq == r.Seq { // else it is an answer to another question
		p.apply(release.Seen{Observed: observed})
	}
	return nil
}

// converge makes the cluster look as the saved record wants.
func (p *pass) converge(ctx context.Context) error {
	if p.Observe || release.Desired(p.record).Observed || untouched(p.record) {
		return nil
	}
	v, err := p.view(ctx, p.record)
	if err != nil {
		return err
	}
	if len(v.state.AsIs) > 0 {
		p.notes = append(p.notes, fmt.Sprintf("revision %s renders to something else than was verified, so what runs of it is kept as it is until it is replaced", strings.Join(v.state.AsIs, " and ")))
	}
	if err := p.Cluster.Converge(ctx, p.key, v.state, v.manifests, v.place); err != nil {
		return fmt.Errorf("converge %s: %w", p.key, err)
	}
	return nil
}

// untouched reports that nothing of the release was ever applied, so that there
// is nothing to make right.
func untouched(r release.Record) bool {
	return r.Stable == nil && r.Attempt == 0 && r.Phase != release.Removing
}

// trouble writes down what failed, for those who ask why nothing moves. What
// failed once is most often over the next time and not worth a write.
func (p *pass) trouble(err error) {
	notes := p.notes
	if p.failed(p.key, err) > 1 {
		notes = append(notes, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if err == nil || len(notes) > 0 {
		p.apply(release.Troubled{Reason: strings.Join(notes, "; ")})
	}
}
