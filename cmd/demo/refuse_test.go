package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/release"
)

func TestARefusedChangeIsPutRightAndDisturbsNobody(t *testing.T) {
	t.Parallel()
	s := newScene(t, []string{"refused", "pushed", "other"})
	s.begin()
	refused, pushed, other := s.forge, s.forge.of(s.services[1]), s.forge.of(s.services[2])

	// Nothing is wrong with this one but that nobody reviewed it. A forge may be
	// slow to say so, which is why it takes longest.
	source, base := s.deploy(pushed, good)
	files, err := pushed.edited("main", "production", good, source, base)
	require.NoError(t, err)
	beforePush, beforeMerge := s.directory("main", pushed), s.directory("main", refused)
	_, err = pushed.environments.Push(developer, "main", "quick fix", files)
	require.NoError(t, err)

	unapproved, approved := s.propose(refused, good), s.propose(other, good)
	s.mergeUnread(refused, unapproved)
	s.approveAndMerge(other, approved)
	message := s.putRight(refused, beforeMerge)
	assert.Contains(t, message, "Gate: approvals=fail")
	s.awaitSettled("production/"+other.service, good)
	message = s.putRight(pushed, beforePush)
	assert.Contains(t, message, "pushed without a pull request")

	for _, h := range []*hub{refused, pushed} {
		name := "production/" + h.service
		s.awaitSettled(name, first)
		for _, r := range s.history(name) {
			let := release.Desired(r.Record).Traffic.Candidate
			assert.True(t, let == "" || runs(&r.Candidate.Revision, first), "%s was let in", let)
		}
		assert.Equal(t, []string{"rollout: stable", "rejection: rejected"}, s.evidence(name))
	}
	undisturbed, _ := s.record("production/" + other.service)
	assert.Equal(t, 2, undisturbed.Attempt, "the other release has the baseline and one promotion behind it")
	assert.Len(t, s.ownCommits(), 2)
}

// directory identifies the bytes of a release's directory.
func (s *scene) directory(commit string, h *hub) string {
	s.t.Helper()
	return s.git("rev-parse", commit+":production/"+h.service)
}

// putRight waits for Sluice's commit for a release and checks that it restores the
// directory and touches nothing else. It returns the message.
func (s *scene) putRight(h *hub, tree string) (message string) {
	s.t.Helper()
	dir := "production/" + h.service
	var commit string
	s.until("a commit of Sluice for "+dir, func(context.Context) (bool, string, error) {
		i := slices.IndexFunc(s.ownCommits(), func(c string) bool {
			return strings.Contains(s.git("log", "-1", "--format=%B", c), "\nRelease: "+dir+"\n")
		})
		if i >= 0 {
			commit = s.ownCommits()[i]
		}
		return i >= 0, "there is none", nil
	})
	for path := range strings.Lines(s.git("diff", "--name-only", commit+"^1", commit)) {
		assert.True(s.t, strings.HasPrefix(path, dir+"/"), "%s is not in %s", path, dir)
	}
	assert.Equal(s.t, tree, s.directory(commit, h), "the directory is what it was, byte for byte")
	return s.git("log", "-1", "--format=%B", commit)
}

func TestAMalformedReleaseStopsOnlyItself(t *testing.T) {
	t.Parallel()
	s := newScene(t, []string{"broken", "sound"})
	s.begin()
	broken, sound := s.forge, s.forge.of(s.services[1])
	path := broken.path("production", "release.yaml")
	source, base := s.deploy(broken, good)
	files, err := broken.edited("main", "production", good, source, base)
	require.NoError(t, err)
	valid := files[path]
	line := len(strings.Split(strings.TrimSpace(valid), "\n")) + 1

	s.approveAndMerge(broken, s.change(broken, "typo", map[string]string{path: strings.TrimSpace(valid) + "\nbaes: typo\n"}))
	s.await(s.production(), "its files are refused", func(r release.Record) bool { return r.Kept != "" })
	assert.Contains(t, s.explanation(s.production()), fmt.Sprintf("%s:%d:", path, line))
	s.promote(sound, good)
	s.awaitSettled("production/"+sound.service, good)
	kept, _ := s.record(s.production())
	assert.True(t, runs(kept.Stable, first), "the last good revision serves")
	assert.Equal(t, release.Stable, kept.Phase)
	assert.Equal(t, 100, s.share(kept.Stable.ID))

	s.approveAndMerge(broken, s.change(broken, "mended", map[string]string{path: valid}))
	mended := s.awaitSettled(s.production(), good)
	assert.Empty(t, mended.Kept)
	assert.Empty(t, s.ownCommits(), "what people have to mend is not reverted")
}

func TestAKustomizationThatDoesNotBuildStopsOnlyItsRelease(t *testing.T) {
	t.Parallel()
	s := newScene(t, []string{"unbuilt"})
	s.begin()
	path := s.forge.path("production", "kustomization.yaml")
	valid := s.file(s.forge, path)
	tree := s.directory("main", s.forge)
	broken := strings.Replace(valid, "resources:\n", "resources:\n  - missing.yaml\n", 1)
	require.NotEqual(t, valid, broken)

	pr := s.change(s.forge, "broken", map[string]string{path: broken})
	head := s.git("rev-parse", "broken")
	s.until("the pull request to say so", func(context.Context) (bool, string, error) {
		for _, status := range s.forge.environments.Statuses(head) {
			if status.Context == "sluice/production" {
				return status.State == forge.StatusFailure && strings.Contains(status.Description, "missing.yaml"),
					string(status.State) + ": " + status.Description, nil
			}
		}
		return false, "no status", nil
	})
	s.approveAndMerge(s.forge, pr)
	message := s.putRight(s.forge, tree)
	assert.Contains(t, message, "missing.yaml")
	assert.Contains(t, message, path, "the commit names the file")
	kept := s.awaitSettled(s.production(), first)
	assert.Equal(t, 100, s.share(kept.Stable.ID))
	s.promote(s.forge, good)
	s.awaitSettled(s.production(), good)
}

// share is what the newest route gives a revision of the first service, in per cent.
func (s *scene) share(revision string) int {
	s.t.Helper()
	route, err := s.kube.route(s.t.Context(), s.services[0]+"-production", s.services[0])
	require.NoError(s.t, err)
	return writtenRoute{weights: sharesOf(route)}.to(revision)
}
