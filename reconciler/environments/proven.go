package environments

import (
	"context"

	"github.com/sluice-cd/sluice/reconciler/gate"
)

// Proven is where an earlier environment got the artifact and base of a
// candidate from. The zero value is a question that nobody asked.
type Proven struct {
	// Asked: the environment's record was read.
	Asked bool
	// Commit is the merge that brought them there; "" where they were never
	// stable together.
	Commit string
	// Unknown says why the record could not be read.
	Unknown string
}

// provenFacts asks about the commit by which an earlier environment got what is
// promoted. It was verified there, so nobody has to ask how it came to the branch.
func (q *inquiry) provenFacts(ctx context.Context, there Proven) gate.CheckFacts {
	switch {
	case there.Unknown != "":
		return gate.CheckFacts{Unknown: there.Unknown}
	case !there.Asked:
		return gate.CheckFacts{}
	case there.Commit == "":
		return gate.CheckFacts{Subjects: []gate.Subject{{Repository: q.name}}}
	}
	subject := gate.Subject{Repository: q.name, Commits: []string{there.Commit}}
	runs, err := q.ask.Checks(ctx, q.name, there.Commit)
	if err != nil {
		subject.Unknown = err.Error()
	}
	subject.Runs = runs
	return gate.CheckFacts{Subjects: []gate.Subject{subject}}
}
