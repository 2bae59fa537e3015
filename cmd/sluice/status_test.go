package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/reconciler/cluster"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/release"
)

func TestStatusSaysWhyNothingMoreIsRead(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	key := release.Key{Environment: "production", Service: "checkout"}
	found := records{releases: []release.Record{release.New(key, now)}, reading: intake.Begin("c0ffee", now, nil)}
	for _, output := range []string{"table", "json"} {
		var b strings.Builder
		require.NoError(t, printStatus(&b, output, found, now))
		assert.NotContains(t, b.String(), "waits for a person", output)
		stuck := found
		stuck.reading = intake.Wait(found.reading, "read commit c1: team acme/platform cannot be read")
		require.NoError(t, printStatus(&b, output, stuck, now))
		assert.Contains(t, b.String(), "c0ffee", output)
		assert.Contains(t, b.String(), "reading waits for a person: read commit c1: team acme/platform cannot be read", output)
	}
}

func TestStatusListsWhatHotfixesOwe(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	r := release.New(release.Key{Environment: "production", Service: "checkout"}, now)
	r.Backfills = []release.Backfill{{ID: "b-1", Version: "1.41.1", Incident: "INC-7", Inputs: "in", Commit: "c", Opened: now, Deadline: now.Add(24 * time.Hour)}}
	for _, output := range []string{"table", "json"} {
		var b strings.Builder
		require.NoError(t, printStatus(&b, output, records{releases: []release.Record{r}}, now))
		assert.Contains(t, b.String(), "INC-7", output)
		assert.Contains(t, b.String(), "2026-03-03", output)
	}
}

func TestTheStoreTakesEveryRecordThatIsEncoded(t *testing.T) {
	assert.LessOrEqual(t, intake.MaxEncoded, cluster.MaxDocumentBytes)
}

func TestStatusReadsRecordsAndNothingElse(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	reading, err := intake.Encode(intake.Begin("c0ffee", now, nil))
	require.NoError(t, err)
	record, err := release.Encode(release.New(release.Key{Environment: "production", Service: "checkout"}, now))
	require.NoError(t, err)
	found, err := decodeRecords([]cluster.Document{
		{Name: "production.checkout", Data: record}, {Name: "reports", Data: []byte(`{"schema":1}`)}, {Name: "repository", Data: reading},
	})
	require.NoError(t, err)
	assert.Equal(t, "c0ffee", found.reading.Mark)
	assert.Len(t, found.releases, 1)
}
