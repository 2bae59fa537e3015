package request

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler/catalog"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

// A Promotion asks for what another environment runs.
type Promotion struct {
	Service string
	To      string
	// From is the environment before To; "" means that one.
	From string
	// Class is the change class; "" is standard. Incident is what a hotfix refers to.
	Class, Incident string
}

// Promote files a promotion as a pull request.
func (c *Clerk) Promote(ctx context.Context, p Promotion, dry bool) (Filed, error) {
	return c.review(ctx, dry, func(tip gitsource.TipView) (plan, error) { return c.promote(p, tip) })
}

// A side is a release in one environment at the tip.
type side struct {
	key     release.Key
	path    string
	data    []byte // nil where there is none
	there   bool   // the directory is
	release schemas.Release
	control schemas.Control
	// base is the commit that the service's subtree is read from, and tree what
	// that is.
	base, tree string
}

func (c *Clerk) promote(p Promotion, tip gitsource.TipView) (plan, error) {
	from, err := p.route(tip)
	if err != nil {
		return plan{}, err
	}
	upstream, err := c.side(tip, release.Key{Environment: from, Service: p.Service})
	if err != nil {
		return plan{}, err
	}
	target, err := c.side(tip, release.Key{Environment: p.To, Service: p.Service})
	if err != nil {
		return plan{}, err
	}
	if err := p.sensible(upstream, target); err != nil {
		return plan{}, err
	}
	if upstream.base == "" {
		if upstream.base, err = c.since(tip.SHA, subtree(p.Service)); err != nil {
			return plan{}, err
		}
	}
	want := p.wanted(upstream, target)
	if err := c.notHeld(tip, target, want, upstream.tree); err != nil {
		return plan{}, err
	}
	data, err := edited(upstream, target, want)
	if err != nil {
		return plan{}, err
	}
	return c.describe(tip, p, upstream, target, want, data)
}

// route is the environment that the promotion comes from.
func (p Promotion) route(tip gitsource.TipView) (string, error) {
	policy, err := readPolicy(tip)
	if err != nil {
		return "", err
	}
	index := policy.Index(p.To)
	switch {
	case index < 0:
		return "", refused("the policy has "+names(policy), "there is no environment %q", p.To)
	case index == 0:
		return "", refused("whoever builds the artifact writes its release.yaml", "%s is the first environment, so nothing is promoted to it", p.To)
	}
	before := policy.Environments[index-1].Name
	if p.From != "" && p.From != before {
		return "", refused(fmt.Sprintf("promote from %s", before), "%s comes right before %s, and no environment may be skipped", before, p.To)
	}
	return before, nil
}

func names(p schemas.Policy) string {
	var out []string
	for _, e := range p.Environments {
		out = append(out, e.Name)
	}
	return strings.Join(out, ", ")
}

func readPolicy(tip gitsource.TipView) (schemas.Policy, error) {
	data, err := tip.ReadFile(catalog.PolicyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return schemas.Policy{}, refused("ask about the environments repository", "there is no %s on the branch", catalog.PolicyFile)
	}
	if err != nil {
		return schemas.Policy{}, err
	}
	return schemas.DecodePolicy(catalog.PolicyFile, data)
}

// side reads a release at the tip.
func (c *Clerk) side(tip gitsource.TipView, key release.Key) (side, error) {
	s := side{key: key, path: key.String() + "/" + catalog.ReleaseFile}
	var err error
	if s.data, err = optional(tip, s.path); err != nil {
		return s, err
	}
	if s.data != nil {
		if s.release, err = schemas.DecodeRelease(s.path, s.data); err != nil {
			return s, err
		}
	}
	if s.control, err = readControl(tip, environments.ControlPath(key)); err != nil {
		return s, err
	}
	own, err := tip.SubtreeHash(key.String())
	if err != nil {
		return s, err
	}
	s.there = own != ""
	s.base = s.release.Base
	at := tip.SHA
	if s.base != "" {
		at = s.base
	}
	if s.tree, err = c.History.SubtreeHash(at, subtree(key.Service)); err != nil {
		return s, fmt.Errorf("read the base of %s: %w", key, err)
	}
	return s, nil
}

// optional is a file, nil where there is none.
func optional(tip gitsource.TipView, path string) ([]byte, error) {
	data, err := tip.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

func readControl(tip gitsource.TipView, path string) (schemas.Control, error) {
	data, err := optional(tip, path)
	if err != nil || data == nil {
		return schemas.Control{}, err
	}
	return catalog.DecodeControl(path, data)
}

func subtree(service string) string { return catalog.ServicesDir + "/" + service }

// sensible refuses what could not pass.
func (p Promotion) sensible(upstream, target side) error {
	switch {
	case upstream.data == nil:
		return refused("promote to "+upstream.key.Environment+" first", "%s is not there", upstream.path)
	case upstream.release.Retired():
		return refused("", "%s is retired, so there is nothing to promote", upstream.key)
	case target.release.Retired():
		return refused("take `state: retired` out in a reviewed pull request first", "%s is retired", target.key)
	case target.data == nil && !target.there:
		return refused(fmt.Sprintf("add %s/kustomization.yaml in a pull request of your own first", target.key), "%s/ is not there", target.key)
	case upstream.tree == "":
		return refused("add it", "%s/ is not there", subtree(p.Service))
	case upstream.control.Paused:
		return refused("resume it, or wait for whoever paused it", "%s is paused: %s", upstream.key, upstream.control.Reason)
	}
	for _, a := range upstream.release.List() {
		if h := held(upstream.control, a.Digest, ""); h != nil {
			return refused("promote something newer", "%s is on hold in %s: %s", a.Digest, upstream.key, h.Reason)
		}
	}
	return nil
}

// held is the hold that refuses a digest or inputs.
func held(c schemas.Control, digest, inputs string) *schemas.Hold {
	for _, h := range c.Holds {
		if h.Digest != "" && h.Digest == digest || h.Revision != "" && inputs != "" && strings.HasPrefix(inputs, h.Revision) {
			return &h
		}
	}
	return nil
}

// notHeld refuses what the target environment has had enough of.
func (c *Clerk) notHeld(tip gitsource.TipView, target side, want schemas.Release, tree string) error {
	overlay, err := tip.TreeHashWithout(target.key.String(), catalog.ReleaseFile, catalog.ControlFile)
	if err != nil {
		return err
	}
	inputs := environments.Identity(want, tree, overlay)
	for _, a := range want.List() {
		if h := held(target.control, a.Digest, inputs); h != nil {
			return refused(fmt.Sprintf("promote something newer, or have the hold lifted: sluice lift %s", target.key),
				"%s is on hold in %s: %s", a.Digest, target.key, h.Reason)
		}
	}
	return nil
}

// wanted is the target's file as the promotion has it. A base that has the same
// content stays.
func (p Promotion) wanted(upstream, target side) schemas.Release {
	want := target.release
	want.Artifact, want.Artifacts = upstream.release.Artifact, upstream.release.Artifacts
	if target.data != nil && target.release.Artifact == nil && upstream.release.Artifact != nil {
		want.Artifact, want.Artifacts = nil, []schemas.Artifact{*upstream.release.Artifact}
	}
	if target.base == "" || target.tree != upstream.tree {
		want.Base = upstream.base
	}
	want.Change, want.Incident = p.Class, p.Incident
	if want.Change == "" {
		want.Change = schemas.ChangeStandard
	}
	return want
}

// edited is the target's file with the promotion in it, byte for byte what it was
// besides.
func edited(upstream, target side, want schemas.Release) ([]byte, error) {
	have, data := target.release, target.data
	if data == nil { // the first one begins as a copy
		have, data = upstream.release, upstream.data
	} else if sameArtifacts(have, want) && have.Base == want.Base {
		return nil, refused("", "nothing to promote: %s asks for it already", target.key)
	}
	byHand := "edit the file by hand in a pull request of your own"
	fields, ok := differences(have, want)
	if !ok {
		return nil, refused(byHand, "%s lists other images than what is promoted", target.path)
	}
	data, err := edit(data, fields...)
	if err != nil {
		return nil, refused(byHand, "%s cannot be changed without touching anything else: %v", target.path, err)
	}
	got, err := schemas.DecodeRelease(target.path, data)
	if err != nil || !sameMeaning(got, want) {
		return nil, refused(byHand, "%s would mean something else after the change", target.path)
	}
	return data, nil
}

func sameArtifacts(a, b schemas.Release) bool {
	return slices.EqualFunc(a.List(), b.List(), func(x, y schemas.Artifact) bool {
		return x.Image == y.Image && x.Digest == y.Digest
	})
}

func sameMeaning(a, b schemas.Release) bool {
	return slices.Equal(a.List(), b.List()) && (a.Artifact == nil) == (b.Artifact == nil) &&
		a.Base == b.Base && a.Change == b.Change && a.Incident == b.Incident && a.State == b.State
}

// differences are the fields that a promotion sets; ok is false where the images
// are not the same ones in the same order.
func differences(have, want schemas.Release) (fields []field, ok bool) {
	before, after := have.List(), want.List()
	if len(before) != len(after) || (have.Artifact == nil) != (want.Artifact == nil) {
		return nil, false
	}
	set := func(path, from, to string) {
		if from != to {
			fields = append(fields, field{path: path, value: to})
		}
	}
	for i := range before {
		at, a, b := "artifact.", before[i], after[i]
		if have.Artifact == nil {
			at = fmt.Sprintf("artifacts.%d.", i)
		}
		if a.Image != b.Image {
			return nil, false
		}
		set(at+"digest", a.Digest, b.Digest)
		set(at+"version", a.Version, b.Version)
		set(at+"source.repository", a.Source.Repository, b.Source.Repository)
		set(at+"source.commit", a.Source.Commit, b.Source.Commit)
	}
	set("base", have.Base, want.Base)
	set("change", have.Change, want.Change)
	set("incident", have.Incident, want.Incident)
	return fields, true
}
