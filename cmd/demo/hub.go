package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sluice-cd/sluice/gitsource"
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

// A hub is the forge with its two repositories.
type hub struct {
	server       *forgetest.Server
	environments *forgetest.Repository
	source       *forgetest.Repository
	genesis      string
}

func startForge(ctx context.Context, dir, examples string, first artifact) (*hub, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	server, err := forgetest.Start(ctx, dir, forgetest.Options{
		Users: []forgetest.User{
			{Login: developer, ID: 101}, {Login: releaser, ID: 102}, {Login: pipeline, ID: 103},
			{Login: sluiceBot, ID: 104, Token: botToken},
		},
		Apps:  []forgetest.App{{Slug: actions, ID: 15368}},
		Teams: []forgetest.Team{{Org: "acme", Slug: "releasers", Members: []string{releaser}}, {Org: "acme", Slug: "platform", Members: []string{releaser}}},
		Repositories: []forgetest.RepositoryOptions{
			{FullName: "acme/environments", Permissions: writers()},
			{FullName: "acme/checkout", Permissions: writers(), Protected: []string{"main"}},
		},
	})
	if err != nil {
		return nil, err
	}
	h := &hub{server: server, environments: server.Repository("acme/environments"), source: server.Repository("acme/checkout")}
	return h, h.fill(examples, first)
}

func writers() map[string]string {
	return map[string]string{developer: "write", releaser: "write", pipeline: "write", sluiceBot: "write"}
}

// fill puts the example into the repository: first what everything is built on,
// then the environments that name that commit as their base.
func (h *hub) fill(examples string, first artifact) error {
	files, err := readTree(filepath.Join(examples, "environments"))
	if err != nil {
		return err
	}
	source, err := h.source.Push(developer, "main", "checkout "+first.Version, map[string]string{"main.go": "package main // " + first.Version + "\n"})
	if err != nil {
		return err
	}
	foundation, rest := map[string]string{}, map[string]string{}
	for path, content := range files {
		switch {
		case strings.HasPrefix(path, "staging/"), strings.HasPrefix(path, "production/"):
			rest[path] = content
		default:
			foundation[path] = content
		}
	}
	if err := edit(foundation, "dev", first, source, ""); err != nil {
		return err
	}
	base, err := h.environments.Push(developer, "main", "checkout: the service and its development environment", foundation)
	if err != nil {
		return err
	}
	for _, environment := range environments[1:] {
		if err := edit(rest, environment, first, source, base); err != nil {
			return err
		}
	}
	h.genesis, err = h.environments.Push(developer, "main", "checkout: staging and production", rest)
	return err
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
func edit(files map[string]string, environment string, a artifact, source, base string) error {
	path := releasePath(environment)
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

func releasePath(environment string) string { return environment + "/checkout/release.yaml" }

// build makes a source commit, with the checks that ran on it, into an artifact.
func (h *hub) build(a artifact) (source string, err error) {
	return h.source.Push(developer, "main", "checkout "+a.Version, map[string]string{"main.go": "package main // " + a.Version + "\n"})
}

// deployToDev is what a pipeline does after a build.
func (h *hub) deployToDev(a artifact, source string) error {
	files, err := h.edited("main", "dev", a, source, "")
	if err != nil {
		return err
	}
	_, err = h.environments.Push(pipeline, "main", "dev/checkout: "+a.Version, files)
	return err
}

// propose opens the pull request that promotes an artifact.
func (h *hub) propose(environment string, a artifact, source, base string) (number int, head string, err error) {
	branch := "promote-" + environment + "-" + a.Version
	if err := h.environments.Branch(developer, branch, "main"); err != nil {
		return 0, "", err
	}
	files, err := h.edited(branch, environment, a, source, base)
	if err != nil {
		return 0, "", err
	}
	title := fmt.Sprintf("%s/checkout: promote %s", environment, a.Version)
	if head, err = h.environments.Push(developer, branch, title, files); err != nil {
		return 0, "", err
	}
	number, err = h.environments.OpenPR(developer, title, branch, "main")
	return number, head, err
}

func (h *hub) edited(branch, environment string, a artifact, source, base string) (map[string]string, error) {
	content, err := h.file(branch, releasePath(environment))
	if err != nil {
		return nil, err
	}
	files := map[string]string{releasePath(environment): content}
	return files, edit(files, environment, a, source, base)
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
