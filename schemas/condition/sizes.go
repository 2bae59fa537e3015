package condition

import (
	"fmt"
	"maps"
	"strings"

	"github.com/google/cel-go/checker"
)

// CostLimit is the most that one evaluation may cost, estimated and measured. A unit
// is about the reading of one variable, so this is well below a second.
const CostLimit = 500_000

// Sizes that estimates are made for. A larger fact is not known: the library measures
// costs in a time that grows with the square of a list's length, so its limit alone
// would not end an evaluation in time.
const (
	maxText      = 256
	maxArtifacts = 10
	maxLabels    = 50
	maxChecks    = 200
	maxPaths     = 500
)

// sizes estimates how large facts are.
type sizes struct{}

func (sizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	most := uint64(maxText)
	switch strings.Join(node.Path(), ".") {
	case "":
		return nil // not a fact
	case release + ".artifacts":
		most = maxArtifacts
	case pullRequest + ".labels":
		most = maxLabels
	case checks + ".source", checks + ".merge":
		most = maxChecks
	case change + ".paths":
		most = maxPaths
	}
	return &checker.SizeEstimate{Min: 0, Max: most}
}

func (sizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// unknown is what is not known, together with what is too large to be looked at.
func (f Facts) unknown() map[string]string {
	out := maps.Clone(f.Unknown)
	if out == nil {
		out = map[string]string{}
	}
	for _, large := range f.tooLarge() {
		if _, known := out[large.name]; !known {
			out[large.name] = fmt.Sprintf("it is larger than the %d that conditions look at", large.limit)
		}
	}
	return out
}

// An excess is a fact that is larger than estimates expect.
type excess struct {
	name  string
	limit int
}

func (f Facts) tooLarge() []excess {
	var out []excess
	list := func(name string, n, limit int, texts ...string) {
		if n > limit {
			out = append(out, excess{name, limit})
			return
		}
		for _, text := range texts {
			if len(text) > maxText {
				out = append(out, excess{name, maxText})
				return
			}
		}
	}
	list(release, 1, 1, f.Release.Environment, f.Release.Service, f.Release.Class)
	list(release+".incident", 1, 1, f.Release.Incident)
	list(release+".version", 1, 1, f.Release.Version)
	list(release+".artifacts", len(f.Release.Artifacts), maxArtifacts, f.Release.texts()...)
	list(pullRequest+".title", 1, 1, f.PullRequest.Title)
	list(pullRequest+".author", 1, 1, f.PullRequest.Author)
	list(pullRequest+".labels", len(f.PullRequest.Labels), maxLabels, f.PullRequest.Labels...)
	list(checks+".source", len(f.Checks.Source), maxChecks, texts(f.Checks.Source)...)
	list(checks+".merge", len(f.Checks.Merge), maxChecks, texts(f.Checks.Merge)...)
	list(upstream+".environment", 1, 1, f.Upstream.Environment)
	list(change+".paths", len(f.Change.Paths), maxPaths, f.Change.Paths...)
	return out
}

func (r Release) texts() []string {
	var out []string
	for _, a := range r.Artifacts {
		out = append(out, a.Image, a.Digest, a.Repository, a.Commit)
	}
	return out
}

func texts(m map[string]string) []string {
	var out []string
	for name, value := range m {
		out = append(out, name, value)
	}
	return out
}
