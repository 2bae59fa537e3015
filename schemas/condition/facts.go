package condition

import (
	"maps"
	"slices"
	"time"

	"github.com/google/cel-go/cel"
)

// Facts is what a condition is evaluated over.
type Facts struct {
	Release     Release
	PullRequest PullRequest
	Checks      Checks
	Upstream    Upstream
	Change      Change
	Now         time.Time
	// Unknown says of each fact that is not known why, by its name: "pullRequest" or
	// "upstream.stableSince".
	Unknown map[string]string
}

// Release is what is to be deployed, and where.
type Release struct {
	Environment string     `cel:"environment"`
	Service     string     `cel:"service"`
	Class       string     `cel:"class"`
	Incident    string     `cel:"incident"`
	Version     string     `cel:"version"` // for people; whoever writes it may write anything
	Artifacts   []Artifact `cel:"artifacts"`
}

// An Artifact is one image of a release.
type Artifact struct {
	Image      string `cel:"image"`
	Digest     string `cel:"digest"`
	Repository string `cel:"repository"`
	Commit     string `cel:"commit"`
}

// PullRequest is the promotion as the forge knows it.
type PullRequest struct {
	Number int      `cel:"number"`
	Title  string   `cel:"title"`
	Author string   `cel:"author"`
	Labels []string `cel:"labels"`
	// Approvals is how many count, by the rules of the gate for approvals.
	Approvals int `cel:"approvals"`
}

// Checks has what checks ended with, by "app/name".
type Checks struct {
	Source map[string]string `cel:"source"`
	Merge  map[string]string `cel:"merge"`
}

// Upstream is the environment before.
type Upstream struct {
	Environment string `cel:"environment"`
	// StableSince is when the same artifact and base became stable there.
	StableSince time.Time `cel:"stableSince"`
}

// Change is what the pull request changes.
type Change struct {
	Paths []string `cel:"paths"`
}

// The variables of a condition.
const (
	release     = "release"
	pullRequest = "pullRequest"
	checks      = "checks"
	upstream    = "upstream"
	change      = "change"
	now         = "now"
)

// Variables lists the names that a condition may begin with.
func Variables() []string { return []string{release, pullRequest, checks, upstream, change, now} }

// activation gives an expression its facts and keeps from it what is not known.
func (f Facts) activation() (cel.PartialActivation, error) {
	var unknown []*cel.AttributePatternType
	for _, name := range slices.Sorted(maps.Keys(f.Unknown)) {
		unknown = append(unknown, pattern(name))
	}
	return cel.PartialVars(map[string]any{
		release: f.Release, pullRequest: f.PullRequest, checks: f.Checks, upstream: f.Upstream, change: f.Change, now: f.Now,
	}, unknown...)
}
