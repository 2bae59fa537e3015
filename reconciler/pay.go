package reconciler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-cd/sluice/reconciler/release"
)

// pay does what the record owes. Every effect finds out by itself whether it
// was done before, so one that was done but not recorded is only recorded.
func (p *pass) pay(ctx context.Context) error {
	if p.Observe || !p.mayPay() {
		return nil
	}
	ctx, cancel := p.patient(ctx)
	defer cancel()
	var errs []error
	for _, intent := range release.Owed(p.record) {
		commit, err := p.effect(ctx, intent)
		p.now = time.Now().UTC() // a push may take long, and evidence says when it was done
		if err != nil {
			p.payLater()
		}
		switch {
		case errors.Is(err, ErrRefused):
			p.refused(intent, err)
		case err != nil:
			errs = append(errs, fmt.Errorf("%s for %s: %w", intent.Kind, p.key, err))
		default:
			p.apply(release.Done{ID: intent.ID, Commit: commit})
		}
	}
	return errors.Join(errs...)
}

// What is owed during a rollout, such as the end of a promotion that was refused
// behind it, is tried for a while and not in every pass: what has traffic is looked
// at every second, and no git server may keep it waiting.
const (
	payTimeout = 10 * time.Second
	payAgain   = 30 * time.Second
)

func (p *pass) patient(ctx context.Context) (context.Context, context.CancelFunc) {
	if release.Serving(p.record) {
		return context.WithTimeout(ctx, payTimeout)
	}
	return context.WithCancel(ctx)
}

func (p *pass) mayPay() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !release.Serving(p.record) || !p.now.Before(p.unpaid[p.key])
}

func (p *pass) payLater() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unpaid[p.key] = p.now.Add(payAgain)
}

// refused leaves the intent owed: it is tried again in case a person took away
// what stands in its way, who is called once.
func (p *pass) refused(intent release.Intent, err error) {
	if intent.Refused == "" {
		p.Log.Error("a person is needed", "release", p.key.String(), "intent", intent.ID, "error", err)
	}
	erred := release.Erred{ID: intent.ID, Reason: err.Error()}
	var proposed *ProposedError
	if errors.As(err, &proposed) {
		erred.PullRequest = proposed.PullRequest.Number
	}
	p.apply(erred)
}

// owesMore reports whether what was done made something else due that nobody
// has refused.
func (p *pass) owesMore() bool {
	return !p.Observe && p.mayPay() && slices.ContainsFunc(release.Owed(p.record), func(i release.Intent) bool { return i.Refused == "" })
}

func (p *pass) effect(ctx context.Context, i release.Intent) (commit string, err error) {
	switch i.Kind {
	case release.CommitReject, release.CommitRollback, release.CommitHold:
		return p.Committer.Commit(ctx, p.key, *i.Commit)
	case release.WriteEvidence:
		if err := p.Ledger.Append(ctx, i.ID, *i.Evidence); err != nil {
			return "", err
		}
		return "", p.tellEnd(ctx, *i.Evidence)
	}
	return "", fmt.Errorf("%w: intent %s is of an unknown kind", ErrRefused, i.ID)
}
