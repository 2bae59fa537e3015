package release_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/reconciler/release"
)

func TestTroubleIsRememberedAndForgotten(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	r := release.New(release.Key{Environment: "production", Service: "checkout"}, now)

	r = release.Next(r, release.Troubled{Reason: "dial 10.0.0.1:40001: refused"}, now)
	assert.Contains(t, release.Explain(r, now).Text(), "dial 10.0.0.1:40001: refused")

	same := release.Next(r, release.Troubled{Reason: "dial 10.0.0.1:40002: refused"}, now.Add(30*time.Second))
	assert.Equal(t, r, same, "the same trouble in other words costs no write")

	later := release.Next(r, release.Troubled{Reason: "another one"}, now.Add(time.Minute))
	assert.Equal(t, "another one", later.Trouble, "but what is shown is not older than a minute")

	over := release.Next(later, release.Troubled{}, now.Add(61*time.Second))
	assert.Empty(t, over.Trouble)
	assert.Zero(t, over.TroubleAt)
	assert.NotContains(t, release.Explain(over, now).Text(), "could not be asked")
}

func TestPlaceIsKeptFromTheRolloutThatUsedIt(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	place := release.Place{Namespace: "checkout-production", Service: "checkout", Traffic: "gateway", Route: "checkout"}
	r := release.New(release.Key{Environment: "production", Service: "checkout"}, now)
	revision := release.Revision{ID: "a", Inputs: "i", Commit: "c"}

	adopted := release.Next(r, release.Adopted{Revision: revision, Same: true, Ours: true, Place: place}, now)
	assert.Equal(t, place, adopted.Place)
}
