package gate

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/schemas"
)

// A reviewer is one person's word on a change and what it weighs.
type reviewer struct {
	user forge.User
	// opinion is Approved, ChangesRequested or Dismissed.
	opinion forge.ReviewState
	url, id string
	// counts: the approval is one of those needed. blocks: the request for
	// changes stands in the way. unknown: which of them could not be asked.
	counts  bool
	blocks  bool
	unknown bool
	// why says why a word has no weight or what is not known; "" otherwise.
	why string
}

// String says in one sentence what a reviewer said and whether it counts.
func (r reviewer) String() string {
	who := person(r.user)
	switch {
	case r.unknown:
		return fmt.Sprintf("%s %s; whether that counts is not known: %s", who, r.said(), r.why)
	case r.counts:
		return who + " approved and counts"
	case r.blocks:
		return who + " requested changes, which stands in the way"
	case r.opinion == forge.Dismissed:
		return fmt.Sprintf("the review by %s was dismissed", who)
	}
	return fmt.Sprintf("%s %s, but does not count: %s", who, r.said(), r.why)
}

func (r reviewer) said() string {
	if r.objects() {
		return "requested changes"
	}
	return "approved"
}

func (r reviewer) objects() bool { return r.opinion == forge.ChangesRequested }

// reviewers explains the last word of everybody who gave one on a change,
// ordered by time. Of a merged change only what was said before its merge is
// taken; approvals that came later are listed with that reason.
func (c Change) reviewers(a schemas.Approvals, barred barrier) []reviewer {
	var reviewers []reviewer
	for _, word := range c.lastWords() {
		r := reviewer{user: word.User, opinion: word.State, url: word.URL, id: fmt.Sprintf("review %d of %s", word.ID, word.Commit)}
		switch word.State {
		case forge.ChangesRequested:
			c.weighObjection(&r, a)
		case forge.Approved:
			c.weighApproval(&r, word, a, barred)
		case forge.Dismissed, forge.Commented, forge.Pending:
		}
		reviewers = append(reviewers, r)
	}
	return reviewers
}

// ApprovedBy returns everybody whose approval counts for one of the release's own
// changes, each once, in the order of their approvals.
func ApprovedBy(f Facts) []forge.User {
	var approvers []forge.User
	for _, c := range f.Changes {
		if c.Base || c.PullRequest == nil {
			continue // who approved a base did not approve this promotion
		}
		for _, r := range c.reviewers(f.Environment.Approvals, f.barred(c)) {
			known := slices.ContainsFunc(approvers, func(u forge.User) bool { return u.ID == r.user.ID })
			if r.counts && !known {
				approvers = append(approvers, r.user)
			}
		}
	}
	return approvers
}

// lastWords returns each user's review that is in force, oldest first. A
// comment takes nothing back, and a dismissed review does not revive an older
// approval; an older objection it does not remove.
func (c Change) lastWords() []forge.Review {
	reviews := slices.Clone(c.Reviews)
	slices.SortStableFunc(reviews, func(a, b forge.Review) int {
		return cmp.Or(a.SubmittedAt.Compare(b.SubmittedAt), cmp.Compare(a.ID, b.ID))
	})
	words := map[int64]forge.Review{}
	var late []forge.Review
	for _, r := range reviews {
		last, spoke := words[r.User.ID]
		switch {
		case r.State == forge.Commented || r.State == forge.Pending:
		case c.afterMerge(r):
			late = append(late, r)
		case r.State == forge.Dismissed && spoke && last.State == forge.ChangesRequested:
		default:
			words[r.User.ID] = r
		}
	}
	return inOrder(words, late)
}

// inOrder adds what came too late only for those who said nothing in time.
func inOrder(words map[int64]forge.Review, late []forge.Review) []forge.Review {
	for _, r := range late {
		if _, spoke := words[r.User.ID]; !spoke && r.State == forge.Approved {
			words[r.User.ID] = r
		}
	}
	ordered := make([]forge.Review, 0, len(words))
	for _, r := range words {
		ordered = append(ordered, r)
	}
	slices.SortFunc(ordered, func(a, b forge.Review) int {
		return cmp.Or(a.SubmittedAt.Compare(b.SubmittedAt), cmp.Compare(a.ID, b.ID), cmp.Compare(a.User.ID, b.User.ID))
	})
	return ordered
}

func (c Change) afterMerge(r forge.Review) bool {
	return c.PullRequest.Merged && r.SubmittedAt.After(c.PullRequest.MergedAt)
}

// beforeBase: what the reviewer saw was the difference to another base. Forges
// count whole seconds, so within the same one that cannot be ruled out.
func (c Change) beforeBase(r forge.Review) bool {
	return slices.ContainsFunc(c.BaseChanges, func(at time.Time) bool { return !r.SubmittedAt.After(at) })
}

// weighObjection: whoever is in a team that decides or may write may object,
// even with a hand in the change.
func (c Change) weighObjection(r *reviewer, a schemas.Approvals) {
	standing := c.standing(r.user, a)
	if writer := c.mayWrite(r.user); !standing.yes() && (writer.yes() || standing.Unknown == "") {
		standing = writer
	}
	r.blocks, r.unknown, r.why = standing.yes(), standing.Unknown != "", standing.Unknown
	if !r.blocks && !r.unknown {
		r.why = standing.Reason
	}
}

func (c Change) weighApproval(r *reviewer, word forge.Review, a schemas.Approvals, barred barrier) {
	if r.why = c.disqualified(word); r.why != "" {
		return
	}
	part, unknown := barred(word.User.ID)
	standing := c.standing(r.user, a)
	switch {
	case part != "":
		r.why = part
	case standing.yes() && unknown != "":
		r.unknown, r.why = true, unknown
	case standing.yes():
		r.counts = true
	case standing.Unknown != "":
		r.unknown, r.why = true, standing.Unknown
	default:
		r.why = standing.Reason
	}
}

// disqualified says why an approval cannot count whoever may approve.
func (c Change) disqualified(word forge.Review) string {
	switch {
	case !word.User.Known():
		return "the forge cannot say whose account it is"
	case word.User.Kind != "User":
		return "only people can approve, and this is an account of another kind"
	case word.SubmittedAt.IsZero():
		return "the approval has no date"
	case c.afterMerge(word):
		return "the approval came after the merge"
	case c.beforeBase(word):
		return "its base was changed since, so the approval is for another difference"
	}
	if part := c.part(word.User.ID); part != "" {
		return part
	}
	if !c.covers(word.Commit) {
		return fmt.Sprintf("the approval is for %s, and the content has changed since", short(word.Commit))
	}
	return ""
}

// part says what hand a user had in a change, "" for none.
func (c Change) part(id int64) string {
	if c.PullRequest.Author.ID == id {
		return "opened the pull request"
	}
	for _, commit := range c.Commits {
		if hand := handIn(commit, id); hand != "" {
			return hand
		}
	}
	if slices.ContainsFunc(c.Pushers, func(u forge.User) bool { return u.ID == id }) {
		return "pushed the last change"
	}
	return ""
}

// handIn says what hand a user had in a commit, "" for none.
func handIn(commit forge.PullRequestCommit, id int64) string {
	switch {
	case commit.Author.ID == id:
		return "wrote commit " + short(commit.Commit)
	case commit.Committer.ID == id:
		return "committed " + short(commit.Commit)
	case slices.ContainsFunc(commit.CoAuthors, func(u forge.User) bool { return u.ID == id }):
		return "co-wrote commit " + short(commit.Commit)
	}
	return ""
}

// covers: a review of this commit saw what the final head promotes.
func (c Change) covers(commit string) bool {
	return commit != "" && (commit == c.PullRequest.Head.Commit || slices.Contains(c.EqualHeads, commit))
}

// standing: a user's word has weight, by membership or by write access. A
// team that could not be read leaves open only what the others do not settle.
func (c Change) standing(u forge.User, a schemas.Approvals) Answer {
	if !u.Known() {
		return Answer{Reason: "the forge cannot say whose account it is"}
	}
	if len(a.Teams) == 0 {
		return c.mayWrite(u)
	}
	unread := ""
	for _, team := range a.Teams {
		members, read := c.Members[team]
		if members[u.ID] {
			return Answer{Yes: true}
		}
		if !read {
			unread = fmt.Sprintf("the members of %s could not be read", foreign(team))
		}
	}
	return Answer{Reason: "is in no team whose approval counts", Unknown: unread}
}

func (c Change) mayWrite(u forge.User) Answer {
	switch {
	case !u.Known():
		return Answer{Reason: "the forge cannot say whose account it is"}
	case c.Writers == nil:
		return Answer{Unknown: "who may write to the repository could not be read"}
	}
	return Answer{Yes: c.Writers[u.ID], Reason: "may not write to the repository"}
}

// unlinked: somebody is named whom the forge cannot link to an account.
func unlinked(c forge.PullRequestCommit) bool {
	return !c.Author.Known() || !c.Committer.Known() ||
		slices.ContainsFunc(c.CoAuthors, func(u forge.User) bool { return !u.Known() })
}
