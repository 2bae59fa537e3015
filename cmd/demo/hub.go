package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/gitsource/forge/forgetest"
)

// The people and machines of the story.
const (
	developer = "dana"
	releaser  = "rita"
	pipeline  = "shop-ci"
	actions   = "github-actions"
	sluiceBot = "sluice-bot"
	botToken  = "demo-token"
)

// A hub is the forge, with the environments repository and the source repository
// of one service.
type hub struct {
	server       *forgetest.Server
	environments *forgetest.Repository
	source       *forgetest.Repository
	service      string
	genesis      string
}

// An estate is what is in the environments repository at the beginning.
type estate struct {
	files        map[string]string
	environments []string // in promotion order
	services     []string
	first        artifact // of every service
}

// startForge starts a forge with an estate. The hub is that of the first service.
func startForge(ctx context.Context, dir string, e estate) (*hub, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	repositories := []forgetest.RepositoryOptions{{FullName: "acme/environments", Permissions: writers()}}
	for _, service := range e.services {
		repositories = append(repositories, forgetest.RepositoryOptions{
			FullName: "acme/" + service, Permissions: writers(), Protected: []string{"main"},
		})
	}
	server, err := forgetest.Start(ctx, dir, forgetest.Options{
		Users: []forgetest.User{
			{Login: developer, ID: 101}, {Login: releaser, ID: 102}, {Login: pipeline, ID: 103},
			{Login: sluiceBot, ID: 104, Token: botToken},
		},
		Apps:         []forgetest.App{{Slug: actions, ID: 15368}},
		Teams:        []forgetest.Team{{Org: "acme", Slug: "releasers", Members: []string{releaser}}, {Org: "acme", Slug: "platform", Members: []string{releaser}}, {Org: "acme", Slug: "checkout", Members: []string{releaser}}},
		Repositories: repositories,
	})
	if err != nil {
		return nil, err
	}
	h := &hub{server: server, environments: server.Repository("acme/environments")}
	h = h.of(e.services[0])
	h.genesis, err = h.fill(e)
	return h, err
}

// of is the same forge as another service sees it.
func (h *hub) of(service string) *hub {
	other := *h
	other.service, other.source = service, h.server.Repository("acme/"+service)
	return &other
}

func writers() map[string]string {
	return map[string]string{developer: "write", releaser: "write", pipeline: "write", sluiceBot: "write"}
}

// fill puts the estate into the repository: first what everything is built on,
// then the environments that name that commit as their base.
func (h *hub) fill(e estate) (genesis string, err error) {
	first, later := e.environments[0], e.environments[1:]
	sources := map[string]string{}
	for _, service := range e.services {
		of := h.of(service)
		if sources[service], err = of.build(e.first); err != nil {
			return "", err
		}
		if err := of.edit(e.files, first, e.first, sources[service], ""); err != nil {
			return "", err
		}
	}
	foundation, rest := map[string]string{}, map[string]string{}
	for path, content := range e.files {
		environment, _, _ := strings.Cut(path, "/")
		if slices.Contains(later, environment) {
			rest[path] = content
		} else {
			foundation[path] = content
		}
	}
	base, err := h.environments.Push(developer, "main", "the services and the first environment", foundation)
	if err != nil {
		return "", err
	}
	for _, service := range e.services {
		for _, environment := range later {
			if err := h.of(service).edit(rest, environment, e.first, sources[service], base); err != nil {
				return "", err
			}
		}
	}
	return h.environments.Push(developer, "main", "the environments that follow", rest)
}

func readTree(dir string) (map[string]string, error) {
	files := map[string]string{}
	tree := os.DirFS(dir)
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(tree, path)
		files[path] = string(data)
		return err
	})
	return files, err
}

// edit changes only the words of a release file that a promotion changes.
func (h *hub) edit(files map[string]string, environment string, a artifact, source, base string) error {
	path := h.path(environment, "release.yaml")
	data := []byte(files[path])
	values := [][2]string{{"artifact.digest", a.Digest}, {"artifact.version", a.Version}, {"artifact.source.commit", source}}
	if base != "" {
		values = append(values, [2]string{"base", base})
	}
	for _, v := range values {
		var err error
		if data, err = gitsource.SetYAML(data, v[0], v[1]); err != nil {
			return fmt.Errorf("edit %s: %w", path, err)
		}
	}
	files[path] = string(data)
	return nil
}

// path is that of a file of the service's release.
func (h *hub) path(environment, file string) string {
	return environment + "/" + h.service + "/" + file
}

// build makes a source commit into an artifact and reports which commit it was.
func (h *hub) build(a artifact) (source string, err error) {
	source, err = h.source.Push(developer, "main", h.service+" "+a.Version, map[string]string{"main.go": "package main // " + a.Version + "\n"})
	if err != nil {
		return "", err
	}
	_, err = h.source.CheckRun(actions, forge.Check{Commit: source, Name: "image", Conclusion: "success", ExternalID: a.Digest})
	return source, err
}

// deployToDev is what a pipeline does after a build.
func (h *hub) deployToDev(a artifact, source string) error {
	files, err := h.edited("main", "dev", a, source, "")
	if err != nil {
		return err
	}
	_, err = h.environments.Push(pipeline, "main", "dev/"+h.service+": "+a.Version, files)
	return err
}

// propose opens the pull request that promotes an artifact.
func (h *hub) propose(environment string, a artifact, source, base string) (number int, head string, err error) {
	branch := "promote-" + environment + "-" + h.service + "-" + a.Version
	if err := h.environments.Branch(developer, branch, "main"); err != nil {
		return 0, "", err
	}
	files, err := h.edited(branch, environment, a, source, base)
	if err != nil {
		return 0, "", err
	}
	title := fmt.Sprintf("%s/%s: promote %s", environment, h.service, a.Version)
	if head, err = h.environments.Push(developer, branch, title, files); err != nil {
		return 0, "", err
	}
	number, err = h.environments.OpenPR(developer, title, branch, "main")
	return number, head, err
}

func (h *hub) edited(branch, environment string, a artifact, source, base string) (map[string]string, error) {
	path := h.path(environment, "release.yaml")
	content, err := h.file(branch, path)
	if err != nil {
		return nil, err
	}
	files := map[string]string{path: content}
	return files, h.edit(files, environment, a, source, base)
}

// file is a file's content at a revision.
func (h *hub) file(rev, path string) (string, error) {
	return h.git("show", rev+":"+path)
}

func (h *hub) git(args ...string) (string, error) {
	return h.environments.Git().Git(args...)
}

// check reports that a check succeeded.
func check(r *forgetest.Repository, commit string, names ...string) error {
	for _, name := range names {
		if _, err := r.Check(actions, commit, name, "success"); err != nil {
			return err
		}
	}
	return nil
}
