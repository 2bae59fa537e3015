package schemas_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/schemas"
)

const (
	daemonByToken = `apiVersion: sluice.dev/v1alpha1
kind: Daemon
repository: {url: "https://github.com/acme/environments.git"}
forge: {repository: acme/environments, tokenFile: /etc/sluice/token}
dataDir: /var/lib/sluice
`
	daemonByApp = `apiVersion: sluice.dev/v1alpha1
kind: Daemon
repository: {url: "https://github.com/acme/environments.git"}
forge: {repository: acme/environments, appId: 1, installationId: 2, privateKeyFile: /etc/sluice/app.pem}
dataDir: /var/lib/sluice
`
)

func TestAnAppWithoutAKeyOfItsOwnCommitsThroughTheForge(t *testing.T) {
	for name, c := range map[string]struct {
		config string
		api    bool
	}{
		"an App":                    {daemonByApp, true},
		"an App with a signing key": {daemonByApp + "commits: {signingKeyFile: /etc/sluice/key}\n", false},
		"an App that is told":       {daemonByApp + "commits: {via: git}\n", false},
		"a token":                   {daemonByToken, false},
		"a token that is told":      {daemonByToken + "commits: {via: api}\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := schemas.DecodeDaemon("daemon.yaml", []byte(c.config))
			require.NoError(t, err)
			assert.Equal(t, c.api, d.CommitsViaAPI())
		})
	}
}

func TestAWayOfCommittingThatCannotBeIsRefused(t *testing.T) {
	for commits, want := range map[string]string{
		"{via: mail}": `via is "mail"`,
		"{via: api, signingKeyFile: /etc/sluice/key}": "the forge does not sign with our key",
	} {
		_, err := schemas.DecodeDaemon("daemon.yaml", []byte(daemonByToken+"commits: "+commits+"\n"))
		require.Error(t, err)
		assert.Contains(t, err.Error(), want)
		assert.True(t, strings.HasPrefix(err.Error(), "daemon.yaml:6:"), err.Error())
	}
}
