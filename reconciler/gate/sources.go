package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/schemas"
)

// A Source is what a promotion brings of one repository that artifacts are
// built from.
type Source struct {
	Repository string
	// From is what stable's artifact was built from, "" where nothing is stable;
	// To is what the candidate's was built from.
	From, To string
	// Commits are in To and not in From. Where there is no From they are the
	// newest ones up to To.
	Commits []forge.PullRequestCommit
	// PullRequests brought the commits that only one of From and To has, with the
	// labels that they have now.
	PullRequests []forge.PullRequest
	// Runs is every run of every check on To.
	Runs []forge.Check
	// TooMany: there are more commits than the forge lists.
	TooMany bool
	// Record is what became of the question; NoRecord where nothing about
	// source repositories can be asked of the forge at all.
	Record Record
	// Unknown says why it could not be asked, "" when it was.
	Unknown string
}

// AsksSources reports whether it makes a difference to a promotion of a class
// what its source commits are.
func AsksSources(a schemas.Approvals, class string) bool {
	return a.ExcludeSourceAuthors || a.For("") > a.For(class)
}

// A claim says that a change is of a class, and why.
type claim struct {
	class    string
	evidence Evidence
}

// claims are the classes that a promotion's source commits call for. Doubt says
// why there may be others, "" when there are not.
func (f Facts) claims() (claims []claim, doubt string) {
	if f.Retired || f.Return || !AsksSources(f.Environment.Approvals, f.Class) {
		return nil, ""
	}
	for _, a := range f.Artifacts {
		s, asked := f.source(a)
		if !asked {
			return claims, "what was built into " + foreign(a.Image) + " has not been looked up yet"
		}
		more, why := s.claims(f.Classes)
		claims = append(claims, more...)
		if doubt == "" {
			doubt = why
		}
	}
	return claims, doubt
}

// source is the answer about an artifact.
func (f Facts) source(a Artifact) (Source, bool) {
	at := slices.IndexFunc(f.Sources, func(s Source) bool {
		return strings.EqualFold(s.Repository, a.Repository) && s.To == a.SourceCommit
	})
	if at < 0 {
		return Source{}, false
	}
	return f.Sources[at], true
}

func (s Source) claims(classes schemas.Classes) (claims []claim, doubt string) {
	switch {
	case s.Record == NoRecord:
		return nil, ""
	case s.Unknown != "" || s.Record != RecordTold:
		return nil, "the commits of " + foreign(s.Repository) + " could not be asked" + explained(s.Unknown)
	case s.TooMany:
		claims = append(claims, claim{evidence: Evidence{Text: fmt.Sprintf(
			"%s has more commits since %s than the forge lists, so the strictest class applies; promote in smaller steps", foreign(s.Repository), short(s.From))}})
	}
	for _, c := range []struct {
		class string
		signs schemas.Signs
	}{{schemas.ChangeBreaking, classes.Breaking}, {schemas.ChangeSecurity, classes.Security}} {
		claims = append(claims, s.labelled(c.class, c.signs.Labels)...)
		if c.signs.Check == nil {
			continue
		}
		told, why := s.checked(c.class, *c.signs.Check)
		claims = append(claims, told...)
		if doubt == "" {
			doubt = why
		}
	}
	return claims, doubt
}

// labelled: a pull request of the source repository has a label of the class.
func (s Source) labelled(class string, labels []string) []claim {
	var claims []claim
	for _, pr := range s.PullRequests {
		at := slices.IndexFunc(pr.Labels, func(has string) bool {
			return slices.ContainsFunc(labels, func(l string) bool { return strings.EqualFold(l, has) })
		})
		if at >= 0 {
			claims = append(claims, claim{class, Evidence{
				Text: fmt.Sprintf("%s#%d “%s” has the label %s, so the change is %s", foreign(s.Repository), pr.Number, foreign(pr.Title), foreign(pr.Labels[at]), class),
				URL:  pr.URL,
			}})
		}
	}
	return claims
}

// checked: a check of the source commit ended with something else than success.
func (s Source) checked(class string, check schemas.SignCheck) (claims []claim, doubt string) {
	ours, _ := matching(schemas.Check{Name: check.Name, App: check.App}, s.Runs, s.To)
	for _, run := range forge.LatestChecks(ours) {
		switch {
		case run.Status != "completed":
			doubt = fmt.Sprintf("check %s on %s is running", foreign(check.Name), short(s.To))
		case run.Conclusion != "success":
			claims = append(claims, claim{class, Evidence{
				Text: fmt.Sprintf("%s on %s ended with %s, so the change is %s", foreign(check.Name), short(s.To), conclusion(run), class), URL: run.URL,
			}})
		}
	}
	if len(ours) == 0 {
		doubt = fmt.Sprintf("check %s has not reported on %s", foreign(check.Name), short(s.To))
	}
	return claims, doubt
}

// sourcesUnseen is what could not be checked about source commits, for the record.
func (f Facts) sourcesUnseen() []Evidence {
	var out []Evidence
	for _, s := range f.Sources {
		switch {
		case s.Record == NoRecord:
			out = append(out, Evidence{Text: "which changes of " + foreign(s.Repository) + " are promoted could not be checked: the forge does not tell"})
		case s.From == "" && f.Environment.Approvals.ExcludeSourceAuthors:
			out = append(out, Evidence{Text: fmt.Sprintf("it is the first release: only who wrote the %d newest commits of %s may not approve", len(s.Commits), foreign(s.Repository))})
		}
		if f.Environment.Approvals.ExcludeSourceAuthors && slices.ContainsFunc(s.Commits, unlinked) {
			out = append(out, Evidence{Text: "commits of " + foreign(s.Repository) + " name somebody by an e-mail address that belongs to no account; whoever it is cannot be told from those who approve"})
		}
	}
	return out
}

// A barrier says of an account why its approval cannot count, or why that could
// not be asked. Either is "" otherwise.
type barrier func(id int64) (part, unknown string)

// barred keeps who wrote what is promoted from approving its promotion, where the
// policy says so.
func (f Facts) barred(c Change) barrier {
	if !f.Environment.Approvals.ExcludeSourceAuthors || f.Retired || c.Base {
		return func(int64) (string, string) { return "", "" }
	}
	return func(id int64) (part, unknown string) {
		for _, a := range f.Artifacts {
			s, asked := f.source(a)
			switch wrote := s.part(id); {
			case wrote != "":
				return wrote, ""
			case !asked:
				unknown = "who wrote what is promoted has not been looked up yet"
			case s.TooMany:
				return "nobody can say who wrote all of it: it has more commits than the forge lists; promote in smaller steps", ""
			case s.Record == NoRecord:
			case s.Unknown != "" || s.Record != RecordTold:
				unknown = "who wrote what is promoted could not be asked" + explained(s.Unknown)
			}
		}
		return "", unknown
	}
}

// part says what hand a user had in the source commits, "" for none.
func (s Source) part(id int64) string {
	for _, commit := range s.Commits {
		if hand := handIn(commit, id); hand != "" {
			return hand + " of " + foreign(s.Repository) + ", which is promoted"
		}
	}
	return ""
}
