package schemas

import (
	"fmt"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
)

// KindDaemon is the kind of the daemon's own configuration, which is never in
// the environments repository.
const KindDaemon = "Daemon"

// Daemon is what `sluice serve` is started with. Secrets are files that it
// names, read again at each use.
type Daemon struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// The environments repository.
	Repository DaemonRepository `json:"repository"`
	// Who knows about pull requests.
	Forge DaemonForge `json:"forge"`
	// Where the daemon keeps its mirror of the repository.
	DataDir string `json:"dataDir"`
	// Address of /health/startup, /health/live and /health/ready, such as :8080.
	// Default: none.
	Listen string `json:"listen,omitempty"`
	// Where records are kept and, unless the policy says otherwise, where releases run.
	Cluster DaemonCluster `json:"cluster,omitzero"`
	// Places to read metrics from.
	Metrics []DaemonMetrics `json:"metrics,omitempty"`
	// Who the daemon's commits are by.
	Commits DaemonCommits `json:"commits,omitzero"`
	// How often the branch and the open pull requests are looked at. Default: 15s.
	Poll Duration `json:"poll,omitempty"`
	// The environments that this daemon is responsible for. Default: all of the policy.
	Environments []string `json:"environments,omitempty"`

	origin *origin
}

// DaemonRepository is the environments repository and how to get at it.
type DaemonRepository struct {
	// https, ssh or file, without credentials.
	URL string `json:"url"`
	// Default: main.
	Branch string `json:"branch,omitempty"`
	// For https: a file with a token. Default: the forge's token file, or its App's own token.
	TokenFile string `json:"tokenFile,omitempty"`
	// For ssh: a private key and the server's host keys.
	SSHKeyFile     string `json:"sshKeyFile,omitempty"`
	KnownHostsFile string `json:"knownHostsFile,omitempty"`
	// For https: certificate authorities, PEM.
	CAFile string `json:"caFile,omitempty"`
}

// The forges that a daemon can ask.
const (
	ForgeGitHub = "github"
	ForgeGitea  = "gitea"
	ForgeGitLab = "gitlab"
)

// DaemonForge is the forge's API. Either a token or, on GitHub, the three App
// fields.
type DaemonForge struct {
	// github, gitea or gitlab. Default: github.
	Kind string `json:"kind,omitempty"`
	// GitHub: the root of the API, by default https://api.github.com. Gitea and
	// GitLab: the address of the server, such as https://gitlab.com.
	URL string `json:"url,omitempty"`
	// owner/name of the environments repository.
	Repository     string `json:"repository"`
	TokenFile      string `json:"tokenFile,omitempty"`
	AppID          int    `json:"appId,omitempty"`
	InstallationID int    `json:"installationId,omitempty"`
	PrivateKeyFile string `json:"privateKeyFile,omitempty"`
	// Shortest time between two writes. Default: 1s, what GitHub asks for.
	WriteInterval Duration `json:"writeInterval,omitempty"`
}

// DaemonCluster is a cluster and the namespace of the daemon's records.
type DaemonCluster struct {
	// Default: the cluster that the daemon runs in.
	KubeconfigFile string `json:"kubeconfigFile,omitempty"`
	// Default: the file's current context.
	Context string `json:"context,omitempty"`
	// Default: sluice.
	Namespace string `json:"namespace,omitempty"`
	// The namespaces that releases run in: nothing outside of them is read or
	// written. Default: all, which needs rights in the whole cluster.
	Namespaces []string `json:"namespaces,omitempty"`
	// Leave what a person changed alone while the annotations sluice.dev/break-glass
	// and sluice.dev/break-glass-until say so. Only for clusters whose admission
	// policy says who may write them, as the chart's does. Default: false.
	BreakGlass bool `json:"breakGlass,omitempty"`
}

// DaemonMetrics is one Prometheus server.
type DaemonMetrics struct {
	// What services call it.
	Name string `json:"name"`
	// Without credentials.
	URL       string `json:"url"`
	TokenFile string `json:"tokenFile,omitempty"`
	CAFile    string `json:"caFile,omitempty"`
	// How often it scrapes. Default: 15s.
	Scrape Duration `json:"scrape,omitempty"`
	// How long after a scrape its values can be read. Default: 10s.
	Lag Duration `json:"lag,omitempty"`
}

// How the daemon's commits come about.
const (
	ViaGit = "git"
	ViaAPI = "api"
)

// DaemonCommits is who commits, how, and with which key.
type DaemonCommits struct {
	// git: the daemon makes commits and pushes them. api: the forge makes them,
	// in the name of whoever asks it, and signs them for an App; name and email are
	// then not used. Default: api for an App without a signing key, git otherwise.
	Via string `json:"via,omitempty" jsonschema:"enum=git,enum=api"`
	// Default: Sluice <sluice@localhost>.
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
	// For git: an SSH private key that signs every commit. Without one they are not signed.
	SigningKeyFile string `json:"signingKeyFile,omitempty"`
}

func (d *Daemon) defaults() {
	d.Repository.Branch = "main"
	d.Cluster.Namespace = "sluice"
	d.Commits = DaemonCommits{Name: "Sluice", Email: "sluice@localhost"}
	d.Poll = Duration(15 * time.Second)
}

func (m *DaemonMetrics) defaults() {
	m.Scrape, m.Lag = Duration(15*time.Second), Duration(10*time.Second)
}

// DecodeDaemon reads the daemon's configuration over the defaults. The error is
// of type Problems.
func DecodeDaemon(file string, data []byte) (Daemon, error) {
	d := newDecoder(file)
	c := Daemon{}
	root := d.parse(data, KindDaemon)
	if root == nil {
		return c, d.finish(nil)
	}
	c.defaults()
	d.value("", root, reflect.ValueOf(&c).Elem())
	c.origin = d.origin
	return c, d.finish(c.Validate())
}

// Validate returns everything that is wrong with the meaning of a configuration.
func (d Daemon) Validate() Problems {
	var ps Problems
	if d.Repository.URL == "" {
		ps.add("repository.url", "give the address of the environments repository", "the address is missing")
	}
	if !isRepository(d.Forge.Repository) {
		ps.add("forge.repository", "write owner/name", "%q is not a repository", d.Forge.Repository)
	}
	if d.DataDir == "" {
		ps.add("dataDir", "name a directory that the daemon may write", "the directory is missing")
	}
	if d.Poll.Std() < time.Second/10 {
		ps.add("poll", "write at least 100ms", "%s is too often", d.Poll)
	}
	if _, _, err := net.SplitHostPort(d.Listen); d.Listen != "" && err != nil {
		ps.add("listen", "write an address such as :8080 or 127.0.0.1:8080", "%q is not an address", d.Listen)
	}
	d.Forge.validate(&ps)
	d.Commits.validate(&ps)
	if name, pushes := d.Forge.pushes(); pushes && d.Commits.Via == ViaAPI {
		ps.add("commits.via", "write git, or leave it out", "Sluice does not make commits through %s's API", name)
	}
	for i, m := range d.Metrics {
		m.validate(&ps, fmt.Sprintf("metrics[%d]", i))
	}
	return ps
}

// pushes names the forges that take Sluice's commits by git alone.
func (f DaemonForge) pushes() (name string, pushes bool) {
	switch f.Kind {
	case ForgeGitea:
		return "Gitea", true
	case ForgeGitLab:
		return "GitLab", true
	}
	return "", false
}

func (f DaemonForge) validate(ps *Problems) {
	name, pushes := f.pushes()
	switch {
	case pushes && (f.AppID != 0 || f.InstallationID != 0 || f.PrivateKeyFile != ""):
		ps.add("forge", "give tokenFile instead", "%s knows no Apps", name)
		return
	case pushes && f.URL == "":
		ps.add("forge.url", "write the server's address, for example https://"+f.Kind+".example.com", "the address of the %s server is missing", name)
	case !pushes && f.Kind != "" && f.Kind != ForgeGitHub:
		ps.add("forge.kind", "write github, gitea or gitlab", "%q is not a forge that this version can ask", f.Kind)
	}
	app := []bool{f.AppID != 0, f.InstallationID != 0, f.PrivateKeyFile != ""}
	hasApp := slices.Contains(app, true)
	switch {
	case f.TokenFile != "" && hasApp:
		ps.add("forge", "give either tokenFile or the App's three fields", "both a token and an App are given")
	case hasApp && slices.Contains(app, false):
		ps.add("forge", "give appId, installationId and privateKeyFile together", "the App is incomplete")
	case f.TokenFile == "" && !hasApp:
		ps.add("forge", "give tokenFile, or appId, installationId and privateKeyFile", "nothing says who asks the forge")
	}
}

func (c DaemonCommits) validate(ps *Problems) {
	if c.Via == "" {
		return
	}
	oneOf(ps, "commits.via", c.Via, ViaGit, ViaAPI)
	if c.Via == ViaAPI && c.SigningKeyFile != "" {
		ps.add("commits.signingKeyFile", "remove it, or write via: git", "the forge does not sign with our key")
	}
}

// CommitsViaAPI reports whether the forge makes the commits.
func (d Daemon) CommitsViaAPI() bool {
	if d.Commits.Via == "" {
		return d.Forge.AppID != 0 && d.Commits.SigningKeyFile == ""
	}
	return d.Commits.Via == ViaAPI
}

func (m DaemonMetrics) validate(ps *Problems, at string) {
	if m.Name == "" {
		ps.add(at+".name", "write the name that services use", "the name is missing")
	}
	u, err := url.Parse(m.URL)
	if err != nil || u.Host == "" || !strings.HasPrefix(u.Scheme, "http") {
		ps.add(at+".url", "write the http(s) address of a Prometheus server", "the address cannot be used")
	} else if u.User != nil {
		ps.add(at+".url", "put the token into a file and name it as tokenFile", "the address contains credentials")
	}
	if m.Scrape <= 0 || m.Lag < 0 {
		ps.add(at, "write durations such as 15s", "%s", fmt.Sprintf("scrape %s and lag %s cannot both be right", m.Scrape, m.Lag))
	}
}
