package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/schemas"
)

// needed is the number of approvals that the candidate needs by everything that
// is known of it. Doubt says why it may need more, "" when it does not.
func (f Facts) needed() (need int, doubt string) {
	need = f.Environment.Approvals.For(f.Class)
	claims, doubt := f.claims()
	for _, c := range claims {
		need = max(need, f.Environment.Approvals.For(c.class))
	}
	return need, doubt
}

// unasked: nobody has to approve in the first environment, unless its policy
// says so.
func (f Facts) unasked() bool {
	need, doubt := f.needed()
	return f.First && need == 0 && doubt == ""
}

// neededBy is the number of approvals that a change needs by its own class: one
// that came too early is not made up for by a lesser one after it.
func (f Facts) neededBy(c Change) int {
	if c.Class == "" {
		return 0
	}
	return f.Environment.Approvals.For(c.Class)
}

// approvals: each change has the approvals that its class needs, by people who
// had no hand in it, for what was finally merged.
func approvals(f Facts) finding {
	switch {
	case f.unasked():
		return met("no approval is needed in the first environment")
	case len(f.Changes) == 0:
		return unknown("who reviewed these inputs is not known", "Sluice, as soon as it has read the history")
	}
	need, doubt := f.needed()
	decides := f.judged(need)
	if doubt != "" && decides.cause == Met {
		decides = f.doubtful(doubt)
	}
	if f.Class != schemas.ChangeStandard && f.Class != "" {
		decides.evidence = append(decides.evidence, Evidence{Text: "the change class is " + foreign(f.Class)})
	}
	claims, _ := f.claims()
	for _, c := range claims {
		decides.evidence = append(decides.evidence, c.evidence)
	}
	return decides.because(f.sourcesUnseen()...)
}

// doubtful judges a change that may need more approvals than is known: enough
// of them for any class settle it, and fewer wait for the answer.
func (f Facts) doubtful(doubt string) finding {
	decides := f.judged(f.Environment.Approvals.For(""))
	if decides.cause == Met {
		return decides.because(Evidence{Text: doubt + ", so it was taken for one of the strictest class"})
	}
	waits := unknown(decides.reason+" if it is of the strictest class; "+doubt, askForge)
	return waits.because(decides.evidence...)
}

// judged judges the approvals of all changes, each of which needs so many.
func (f Facts) judged(need int) finding {
	findings := make([]finding, len(f.Changes))
	for i, c := range f.Changes {
		a, n := f.Environment.Approvals, max(need, f.neededBy(c))
		if c.Base {
			a.Teams, n = nil, a.Standard
		}
		findings[i] = f.reviewed(c, a, n)
	}
	return worst(findings)
}

// reviewed judges the approvals of one change.
func (f Facts) reviewed(c Change, a schemas.Approvals, need int) finding {
	switch problem := c.unreviewable(); {
	case c.Unknown != "":
		return unknown("the reviews of "+c.name()+" could not be read: "+foreign(c.Unknown), askForge)
	case c.PullRequest == nil:
		return finding{
			cause:    Short,
			reason:   fmt.Sprintf("commit %s has no pull request in which it could be approved", short(c.Commit)),
			unblocks: openNewOne,
		}
	case problem != "" && !c.Content.Yes && c.Content.Unknown == "" && c.Content.Reason != "":
		return finding{cause: Short, reason: "nobody's approval of " + c.name() + " can count" + explained(c.Content.Reason), unblocks: openNewOne}
	case problem != "":
		return unknown(problem, askForge)
	}
	t := tally(c.reviewers(a, f.barred(c)))
	counts := t.finding(f, c, a, need+c.spare(need)).because(t.evidence...).because(c.blindSpots()...)
	return worst(append([]finding{counts}, f.owners(c)...))
}

// unreviewable names the gap in the facts that would let somebody's part in
// a change, or the time of a review, go unseen.
func (c Change) unreviewable() string {
	pr := c.PullRequest
	switch {
	case pr == nil:
		return ""
	case pr.Head.Commit == "":
		return fmt.Sprintf("the forge does not say which commit of #%d was reviewed", pr.Number)
	case pr.Merged && pr.MergedAt.IsZero():
		return fmt.Sprintf("the forge does not say when #%d was merged", pr.Number)
	case !c.listsHead():
		return fmt.Sprintf("the list of the commits of #%d is incomplete, so who wrote them is not known", pr.Number)
	case c.BaseRecord == RecordSilent:
		return fmt.Sprintf("the forge does not say whether #%d had another base branch when it was reviewed", pr.Number)
	}
	return ""
}

func (c Change) listsHead() bool {
	for _, commit := range c.Commits {
		if commit.Commit == c.PullRequest.Head.Commit {
			return true
		}
	}
	return false
}

// blindSpots says what could not be checked about who had a hand in a change.
func (c Change) blindSpots() []Evidence {
	var spots []Evidence
	for _, commit := range c.Commits {
		if unlinked(commit) {
			spots = append(spots, Evidence{Text: "commit " + short(commit.Commit) + " names somebody by an e-mail address that belongs to no account; whoever it is cannot approve"})
		}
	}
	number := c.PullRequest.Number
	switch c.PushRecord {
	case RecordTold:
	case NoRecord:
		spots = append(spots, Evidence{Text: fmt.Sprintf("who pushed last to #%d could not be checked: the forge keeps no record of it", number)})
	case RecordSilent:
		spots = append(spots, Evidence{Text: fmt.Sprintf("who pushed last to #%d cannot be found out: it may be one of those who approved", number)})
	}
	if c.BaseRecord == NoRecord {
		spots = append(spots, Evidence{Text: fmt.Sprintf("whether #%d had another base branch when it was reviewed could not be checked: the forge keeps no record of it", number)})
	}
	return spots
}

// spare is how many approvals a change needs beyond those of its class. Nobody
// approves what they pushed last; where it cannot be found out who that is, one
// more makes up for it, since it is one person.
func (c Change) spare(need int) int {
	if need > 0 && c.PushRecord == RecordSilent {
		return 1
	}
	return 0
}

// A count is what the reviewers of one change add up to.
type count struct {
	approved  int
	undecided []reviewer // may approve or object, but it could not be asked
	objecting []reviewer
	evidence  []Evidence
}

func tally(reviewers []reviewer) count {
	var t count
	for _, r := range reviewers {
		switch {
		case r.unknown:
			t.undecided = append(t.undecided, r)
		case r.blocks:
			t.objecting = append(t.objecting, r)
		case r.counts:
			t.approved++
		}
		t.evidence = append(t.evidence, Evidence{Text: r.String(), URL: r.url, ID: r.id})
	}
	return t
}

func (t count) finding(f Facts, c Change, a schemas.Approvals, need int) finding {
	have := f.prefix(c) + fmt.Sprintf("%d of %s", min(t.approved, need), counted(need)) + c.whySpare(need)
	switch {
	case len(t.objecting) > 0:
		return finding{
			cause:    Short,
			reason:   fmt.Sprintf("%s; %s requested changes", have, names(t.objecting)),
			unblocks: names(t.objecting) + " by approving or withdrawing, or somebody who may dismiss the request",
		}
	case t.atMost() < need:
		return finding{cause: Short, reason: have, unblocks: f.approvers(a, need-t.approved) + c.orPushAgain(need)}
	case t.approved < need || t.mayBeObjected():
		return unknown(fmt.Sprintf("%s; whether the word of %s counts could not be asked", have, names(t.undecided)), askForge)
	case need == 0:
		return met(f.prefix(c) + "no approval is needed")
	}
	return met(have)
}

// whySpare explains the one approval that the class does not ask for.
func (c Change) whySpare(need int) string {
	if c.spare(need) == 0 {
		return ""
	}
	return ", one of them because nobody can tell who pushed last"
}

// orPushAgain names the other way out of that.
func (c Change) orPushAgain(need int) string {
	if c.spare(need) == 0 {
		return ""
	}
	return "; or the author: push the branch to the repository itself, where who pushed is recorded, and open a new pull request"
}

// atMost is the number of approvals if everybody undecided may approve.
func (t count) atMost() int {
	most := t.approved
	for _, r := range t.undecided {
		if !r.objects() {
			most++
		}
	}
	return most
}

func (t count) mayBeObjected() bool { return slices.ContainsFunc(t.undecided, reviewer.objects) }

// prefix tells several changes apart.
func (f Facts) prefix(c Change) string {
	if len(f.Changes) < 2 {
		return ""
	}
	return c.name() + " has "
}

// approvers says who can supply what is missing.
func (f Facts) approvers(a schemas.Approvals, missing int) string {
	who := "somebody who may write to " + foreign(f.Repository)
	if len(a.Teams) > 0 {
		who = "a member of " + foreign(strings.Join(a.Teams, " or "))
	}
	if missing > 1 {
		who = fmt.Sprintf("%d people, each %s,", missing, who)
	}
	if f.Merged {
		return who + " in a new pull request: what was merged too early is not approved afterwards"
	}
	return who + " who had no hand in the change, by approving it"
}

func counted(n int) string {
	if n == 1 {
		return "1 approval"
	}
	return fmt.Sprintf("%d approvals", n)
}

func names(reviewers []reviewer) string {
	list := make([]string, len(reviewers))
	for i, r := range reviewers {
		list[i] = person(r.user)
	}
	return cut(strings.Join(list, ", "), maxForeign)
}
