package github_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
	"github.com/sluice-cd/sluice/gitsource/forge/github"
)

const attestationsRoute = "GET /repos/{owner}/{repo}/attestations/{digest}"

var imageDigest = "sha256:" + strings.Repeat("6d", 32)

func TestAttestationsAreReadToTheirEnd(t *testing.T) {
	w := newWorld(t)
	source := w.forge.Repository(sourceName)
	found, err := w.client.Attestations(t.Context(), sourceName, imageDigest)
	require.NoError(t, err)
	assert.Empty(t, found)

	for i := range 101 {
		source.AttestBuild(imageDigest, fmt.Sprintf("%040d", i))
	}
	w.forge.Repository(repoName).AttestBuild(imageDigest, strings.Repeat("e", 40))
	found, err = w.client.Attestations(t.Context(), sourceName, imageDigest)
	require.NoError(t, err)
	require.Len(t, found, 101, "those of this repository alone")
	assert.Contains(t, string(found[100].Bundle), `"dsseEnvelope"`)
}

func TestAttestationsThatDoNotAddUpAreUnknown(t *testing.T) {
	w := newWorld(t)
	source := w.forge.Repository(sourceName)
	for range 100 {
		source.AttestBuild(imageDigest, strings.Repeat("e", 40))
	}
	source.AttestBuild(imageDigest, strings.Repeat("f", 40))
	json := map[string]string{"Content-Type": "application/json"}
	for name, fault := range map[string]forgetest.Fault{
		"links cut off":         {CutPages: true},
		"half an answer":        {Half: true},
		"no list":               {Status: http.StatusOK, Header: json, Body: `{}`},
		"another repository's":  {Status: http.StatusOK, Header: json, Body: `{"attestations":[{"bundle":{},"repository_id":1}]}`},
		"forbidden":             {Status: http.StatusForbidden, Header: json, Body: `{"message":"Resource not accessible by integration"}`},
		"without their bundles": {Status: http.StatusOK, Header: json, Body: fmt.Sprintf(`{"attestations":[{"bundle":null,"repository_id":%d}]}`, source.ID())},
	} {
		fault.On = attestationsRoute
		w.forge.Inject(fault)
		found, err := w.client.Attestations(t.Context(), sourceName, imageDigest)
		w.forge.ClearFaults()
		var transient *forge.TransientError
		var rejected *forge.RejectedError
		assert.True(t, errors.As(err, &transient) || errors.As(err, &rejected), "%s: %v", name, err)
		assert.Nil(t, found, name)
	}
	_, err := w.client.Attestations(t.Context(), "acme/nowhere", imageDigest)
	assert.ErrorIs(t, err, forge.ErrNotFound, "a repository that cannot be seen is not one without attestations")
}

func TestGitHubAnswersNotFoundWhereThereAreNoAttestations(t *testing.T) {
	w := newWorld(t)
	w.forge.Inject(forgetest.Fault{On: attestationsRoute, Status: http.StatusNotFound, Header: map[string]string{"Content-Type": "application/json"}, Body: `{"message":"Not Found"}`})
	found, err := w.client.Attestations(t.Context(), sourceName, imageDigest)
	require.NoError(t, err)
	assert.Empty(t, found)
}

func TestHomeIsWherePeopleFindARepository(t *testing.T) {
	w := newWorld(t)
	assert.Equal(t, w.forge.URL+"/acme/checkout", w.client.Home(sourceName))
	for base, want := range map[string]string{
		"": "https://github.com/acme/checkout", "https://ghe.example.com/api/v3": "https://ghe.example.com/acme/checkout",
	} {
		client := newClient(t, w, func(cfg *github.Config) { cfg.BaseURL = base })
		assert.Equal(t, want, client.Home(sourceName))
	}
}
