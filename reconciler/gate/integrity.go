package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/gitsource/forge"
)

const (
	askForge   = "the forge, as soon as it answers again; nobody has to do anything"
	openNewOne = "anybody: open a pull request with this change, have it reviewed and merge it unchanged"
)

// integrity: every change that led to the inputs is a merged pull request of
// this repository and branch, and what landed is what was reviewed.
func integrity(f Facts) finding {
	switch {
	case f.First && slices.ContainsFunc(f.Changes, Change.reordersEnvironments):
		return refused("the policy itself changes together with a release of the first environment",
			"the author: make two pull requests of it, the policy first")
	case f.unasked():
		return met("not asked in the first environment, where no approval is needed")
	case len(f.Changes) == 0:
		return unknown("which changes led to these inputs is not known", "Sluice, as soon as it has read the history")
	}
	findings := make([]finding, len(f.Changes))
	for i, c := range f.Changes {
		findings[i] = f.prove(c).because(c.evidence()...)
	}
	return worst(findings)
}

// reordersEnvironments: what is asked of an environment depends on its place,
// and a pull request that may choose the place could ask for nothing.
func (c Change) reordersEnvironments() bool { return slices.Contains(c.Owned, "sluice.yaml") }

// prove judges one change.
func (f Facts) prove(c Change) finding {
	pr := c.PullRequest
	if c.Unknown != "" {
		return unknown("where "+c.name()+" comes from could not be asked: "+foreign(c.Unknown), askForge)
	}
	if pr == nil && c.Content.Reason != "" {
		return refused("what led to commit "+short(c.Commit)+" cannot be proven"+explained(c.Content.Reason),
			"anybody: put the release back to what runs, then promote again in a reviewed pull request")
	}
	if pr == nil && c.Base {
		return refused("commit "+short(c.Commit)+" changed the base without a pull request",
			"anybody: take that change of the base back and bring it in again in a reviewed pull request")
	}
	if pr == nil {
		return refused("commit "+short(c.Commit)+" was pushed without a pull request", openNewOne)
	}
	if problem := f.misplaced(*pr); problem != "" {
		return refused(problem, openNewOne)
	}
	if len(c.Owned) > 0 && !f.First {
		return refused(
			fmt.Sprintf("%s changes the rules (%s) together with a release%s", c.name(), foreign(strings.Join(c.Owned, ", ")), c.weakening()),
			"the author: make two pull requests of it, the rules first")
	}
	if pr.Merged {
		return landed(c)
	}
	return f.unmerged(c)
}

// weakening says what a change takes away from the rules.
func (c Change) weakening() string {
	if len(c.Weakens) == 0 {
		return ""
	}
	return " and asks for less: " + some(c.Weakens)
}

// misplaced says why a pull request is not one of the followed branch.
func (f Facts) misplaced(pr forge.PullRequest) string {
	switch {
	case f.Repository == "" || !strings.EqualFold(pr.Base.Repository, f.Repository):
		return fmt.Sprintf("#%d is a pull request of %s, not of %s", pr.Number, repository(pr.Base), foreign(f.Repository))
	case f.Branch == "" || pr.Base.Name != f.Branch:
		return fmt.Sprintf("#%d was made for branch %s, not for %s", pr.Number, foreign(pr.Base.Name), foreign(f.Branch))
	}
	return ""
}

func repository(b forge.Branch) string {
	if b.Repository == "" {
		return "a deleted repository"
	}
	return foreign(b.Repository)
}

// landed judges a merged pull request.
func landed(c Change) finding {
	pr := c.PullRequest
	switch {
	case pr.MergeCommit == "" || pr.MergeCommit != c.Commit:
		return refused(fmt.Sprintf("commit %s is not the one that #%d was merged as", short(c.Commit), pr.Number), openNewOne)
	case c.Content.Unknown != "":
		return unknown(fmt.Sprintf("whether #%d landed as it was reviewed could not be asked: %s", pr.Number, foreign(c.Content.Unknown)), askForge)
	case !c.Content.Yes:
		return refused(fmt.Sprintf("what landed is not proven to be what was reviewed in #%d%s", pr.Number, explained(c.Content.Reason)),
			"the author: bring the branch up to date in a new pull request and have it reviewed")
	}
	return met(fmt.Sprintf("#%d landed exactly as it was reviewed", pr.Number))
}

// unmerged judges a pull request whose merge does not exist yet. What lands
// can only be compared afterwards, unless it is known already that it could not.
func (f Facts) unmerged(c Change) finding {
	number := c.PullRequest.Number
	switch {
	case f.Merged:
		return refused(fmt.Sprintf("#%d is not merged, but its change is on branch %s", number, foreign(f.Branch)), openNewOne)
	case !c.PullRequest.Open:
		return refused(fmt.Sprintf("#%d was closed without being merged", number), openNewOne)
	case c.Content.Unknown != "":
		return unknown(fmt.Sprintf("whether #%d can be merged as it is reviewed could not be asked: %s", number, foreign(c.Content.Unknown)), askForge)
	case !c.Content.Yes && c.Content.Reason != "":
		return refused(fmt.Sprintf("what #%d would merge could not be proven%s", number, explained(c.Content.Reason)), "the author: bring the branch up to date")
	}
	return met(fmt.Sprintf("#%d is a pull request for branch %s", number, foreign(f.Branch)))
}

func explained(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + foreign(reason)
}

// name is what people call a change.
func (c Change) name() string {
	if c.PullRequest == nil {
		return "commit " + short(c.Commit)
	}
	return fmt.Sprintf("#%d", c.PullRequest.Number)
}

func (c Change) evidence() []Evidence {
	pr := c.PullRequest
	if pr == nil {
		return []Evidence{{Text: "commit " + short(c.Commit), ID: "commit " + c.Commit}}
	}
	text := fmt.Sprintf("#%d “%s”, opened by %s", pr.Number, foreign(pr.Title), person(pr.Author))
	if pr.Merged {
		text += fmt.Sprintf(", merged as %s by %s", short(pr.MergeCommit), person(pr.MergedBy))
	}
	evidence := []Evidence{{Text: text, URL: pr.URL, ID: fmt.Sprintf("pull request %d at %s as %s", pr.Number, pr.Head.Commit, c.Commit)}}
	for _, weaker := range c.Weakens {
		evidence = append(evidence, Evidence{Text: fmt.Sprintf("#%d asks for less: %s", pr.Number, weaker)})
	}
	return evidence
}

// person is what people call a user.
func person(u forge.User) string {
	login := foreign(u.Login)
	switch {
	case login != "":
		return login
	case u.Known():
		return fmt.Sprintf("account %d", u.ID)
	}
	return "an unknown account"
}
