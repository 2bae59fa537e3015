package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/sluice-cd/sluice/reconciler/catalog"
	"github.com/sluice-cd/sluice/reconciler/render"
	"github.com/sluice-cd/sluice/schemas"
)

// anyRevision stands for the revision, so that names which cannot carry one are found.
const anyRevision = "0a1b2c3d"

// renderAll renders every release that no known problem blocks, and checks the result.
func renderAll(ctx context.Context, tree fs.FS, found catalog.Catalog, known catalog.Problems, base baseFiles) (catalog.Problems, error) {
	var mu sync.Mutex // guards problems
	var problems catalog.Problems
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, key := range found.Keys() {
		if len(known.Of(key).Errors()) > 0 {
			continue
		}
		group.Go(func() error {
			one, err := renderOne(ctx, tree, found, key, base)
			mu.Lock()
			defer mu.Unlock()
			problems = append(problems, one...)
			return err
		})
	}
	return problems, group.Wait()
}

func renderOne(ctx context.Context, tree fs.FS, found catalog.Catalog, key catalog.Key, base baseFiles) (catalog.Problems, error) {
	release, service := found.Releases[key], found.Services[key.Service]
	environment, _ := found.Policy.Environment(key.Environment)
	c := check{key: key, release: release, service: service}
	baseTree, err := base(release.Base)
	if err != nil {
		c.add(catalog.ReleaseFile, "name a commit of this repository", "base %s cannot be read: %s", release.Base, err)
		at := &c.problems[0]
		at.Line, at.Column = release.Position("base")
		return c.problems, nil
	}
	if baseTree != nil {
		tree = catalog.Rebase(tree, baseTree, key.Service)
	}
	output, err := render.Build(ctx, render.Input{
		Release: key.String(), Files: tree, Dir: key.String(), Service: key.Service,
		Images: c.images(), Namespace: environment.NamespaceFor(key.Service), Revision: anyRevision,
	})
	var refusal *render.Refusal
	if errors.As(err, &refusal) {
		c.refused(*refusal, baseTree != nil)
		return c.problems, nil
	}
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", key, err)
	}
	c.rendered(output.Report)
	return c.problems, nil
}

// check compares what one release renders to with what its service and release say.
type check struct {
	key      catalog.Key
	release  schemas.Release
	service  schemas.Service
	problems catalog.Problems
}

func (c *check) add(file, remedy, format string, args ...any) {
	c.problems = append(c.problems, catalog.Problem{Scope: c.key, Problem: schemas.Problem{
		File: path.Join(c.key.String(), file), Message: fmt.Sprintf(format, args...), Remedy: remedy, Severity: schemas.SeverityError,
	}})
}

// refused says of which commit the file is: the one in the working tree may be right.
func (c *check) refused(r render.Refusal, rebased bool) {
	message := r.What
	if rebased && !strings.HasPrefix(r.File, c.key.String()) {
		message += " (in commit " + c.release.Base[:12] + ", the base of " + c.key.String() + ")"
	}
	c.problems = append(c.problems, catalog.Problem{Scope: c.key, Problem: schemas.Problem{
		File: r.File, Line: r.Line, Column: min(r.Line, 1), Message: message, Remedy: r.Remedy, Severity: schemas.SeverityError,
	}})
}

func (c *check) images() map[string]string {
	digests := map[string]string{}
	for _, a := range c.release.List() {
		digests[a.Image] = a.Digest
	}
	return digests
}

func (c *check) rendered(r render.Report) {
	for _, image := range r.Images {
		if !image.Pinned {
			c.add(catalog.KustomizationFile, "write it as name@sha256:…, or list it in artifacts", "%s uses image %q of container %s without a digest", image.Object, image.Image, image.Container)
		}
	}
	for _, u := range r.Unprobed(c.images(), c.service.Health) {
		c.add(catalog.KustomizationFile, fmt.Sprintf("declare it with httpGet %s, or change health in the service with reason and incident", u.Path), "%s", u)
	}
	c.traffic(r)
}

func (c *check) traffic(r render.Report) {
	t := c.service.Traffic
	hasService := slices.ContainsFunc(r.Services, func(a render.Apex) bool { return a.Name == t.Service })
	if t.Kind != schemas.TrafficNone && !hasService {
		c.add(catalog.KustomizationFile, "render it, or correct traffic in the service", "there is no Service %q that selects the workload", t.Service)
	}
	routed := slices.ContainsFunc(r.Routes, func(ref render.RouteRef) bool { return ref.Name == t.Route && ref.Service == t.Service })
	if t.Kind == schemas.TrafficGateway && !routed {
		c.add(catalog.KustomizationFile, "render it, or correct traffic in the service", "no route %q sends to Service %q", t.Route, t.Service)
	}
}
