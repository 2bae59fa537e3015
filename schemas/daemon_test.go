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

func TestAGiteaOrAGitLabNeedsAnAddressAndAToken(t *testing.T) {
	config := func(forge, rest string) []byte {
		return []byte("apiVersion: sluice.dev/v1alpha1\nkind: Daemon\nrepository: {url: \"https://gitea.example/acme/environments.git\"}\n" +
			"dataDir: /var/lib/sluice\nforge: {repository: acme/environments, " + forge + "}\n" + rest)
	}
	good := "kind: gitea, url: https://gitea.example, tokenFile: /etc/sluice/token"
	d, err := schemas.DecodeDaemon("daemon.yaml", config(good, ""))
	require.NoError(t, err)
	assert.False(t, d.CommitsViaAPI())

	for want, c := range map[string][2]string{
		"the address of the Gitea server is missing":  {"kind: gitea, tokenFile: /etc/sluice/token", ""},
		"Gitea knows no Apps":                         {"kind: gitea, url: https://gitea.example, appId: 1, installationId: 2, privateKeyFile: /x", ""},
		"nothing says who asks the forge":             {"kind: gitea, url: https://gitea.example", ""},
		`"gogs" is not a forge`:                       {"kind: gogs, url: https://gitea.example, tokenFile: /etc/sluice/token", ""},
		"through Gitea's API":                         {good, "commits: {via: api}\n"},
		"the address of the GitLab server is missing": {"kind: gitlab, tokenFile: /etc/sluice/token", ""},
		"GitLab knows no Apps":                        {"kind: gitlab, url: https://gitlab.example, appId: 1, installationId: 2, privateKeyFile: /x", ""},
		"through GitLab's API":                        {strings.ReplaceAll(good, "gitea", "gitlab"), "commits: {via: api}\n"},
	} {
		_, err := schemas.DecodeDaemon("daemon.yaml", config(c[0], c[1]))
		assert.ErrorContains(t, err, want)
	}
}
