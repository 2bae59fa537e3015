package release

import "time"

// Desired is what the cluster should look like. It is the one source for
// applying, stepping, correcting drift and rolling back. From a record that
// Decode would refuse nothing follows.
func Desired(r Record) State {
	if r.check() != nil {
		return State{Observed: true}
	}
	return r.desired()
}

func (r Record) desired() State {
	switch r.Phase {
	case Stable, Pending, Rejected, Restoring:
		return r.serving()
	case Preparing:
		if r.Adopted {
			return r.rehomed()
		}
		return r.split(0)
	case Progressing:
		return r.split(r.weight())
	case Verifying:
		return r.split(100)
	case Reverting:
		return r.back()
	case Frozen:
		return State{Retired: r.FrozenFrom == Removing, Observed: r.FrozenFrom != Removing}
	case Removing, Removed:
		return State{Retired: true}
	}
	return State{Observed: true}
}

// serving is stable alone.
func (r Record) serving() State {
	if r.Stable == nil {
		return State{}
	}
	if r.Adopted {
		return State{Observed: true}
	}
	return r.rehomed()
}

// rehomed is stable alone under the names of its revision.
func (r Record) rehomed() State {
	id := r.Stable.ID
	return State{
		Workloads: []Workload{{Revision: id, Share: 100}},
		Shared:    id,
		Traffic:   Traffic{Stable: id},
		Rehome:    r.Adopted,
	}
}

// split is stable and candidate together, with the candidate at weight.
func (r Record) split(weight int) State {
	candidate := r.Candidate.Revision.ID
	if r.Rollout.Plan.InPlace || r.Stable == nil {
		return r.alone(candidate, weight)
	}
	return State{
		Workloads: []Workload{
			{Revision: r.Stable.ID, KeepSize: true, Share: 100},
			{Revision: candidate, Share: weight},
		},
		Shared:  candidate,
		Traffic: Traffic{Stable: r.Stable.ID, Candidate: candidate, Weight: weight},
	}
}

// alone is a candidate without anything to compare it with.
func (r Record) alone(candidate string, weight int) State {
	state := State{Workloads: []Workload{{Revision: candidate, Share: 100}}, Shared: candidate}
	if r.Rollout.Plan.InPlace {
		state.Traffic = Traffic{Stable: candidate}
		return state
	}
	state.Traffic = Traffic{Candidate: candidate, Weight: weight}
	return state
}

// back is the way back: everything to stable, the candidate still there until
// the cluster is seen to have moved, stable's shared objects again.
func (r Record) back() State {
	if r.Stable == nil {
		return State{}
	}
	if r.Rollout.Plan.InPlace || r.Adopted {
		return r.serving()
	}
	state := r.split(0)
	state.Shared = r.Stable.ID
	return state
}

// Sources maps the revision ids of Desired to the revisions to render. An
// in-place change keeps the id and changes what it renders to, so the id alone
// would not say which.
func Sources(r Record) map[string]Revision {
	sources := map[string]Revision{}
	state := Desired(r)
	if state.Retired || state.Observed {
		return sources
	}
	if r.Stable != nil {
		sources[r.Stable.ID] = *r.Stable
	}
	switch r.Phase {
	case Preparing, Progressing, Verifying:
		if r.Adopted {
			return sources // nothing of the candidate yet
		}
		sources[r.Candidate.Revision.ID] = r.Candidate.Revision
	case Reverting:
		if !r.Rollout.Plan.InPlace {
			sources[r.Candidate.Revision.ID] = r.Candidate.Revision
		}
	case Stable, Pending, Rejected, Restoring, Frozen, Removing, Removed:
	}
	return sources
}

// Owed lists the intents whose effect is not known to be durable.
func Owed(r Record) []Intent { return r.Owed }

// Cadences of the loop while nothing tells it to look sooner.
const (
	resync   = 5 * time.Minute  // drift that no watch reported
	watching = 1 * time.Second  // a rollout whose pods or route are changing
	retry    = 30 * time.Second // a gate that could not be asked
)

// Wake is when the release has to be looked at again if nothing happens.
func Wake(r Record, now time.Time) time.Time {
	switch r.Phase {
	case Preparing, Progressing, Verifying, Reverting, Removing:
		return now.Add(watching)
	case Pending:
		if r.Recheck.After(now) && (len(r.Owed) == 0 || r.Recheck.Before(now.Add(retry))) {
			return r.Recheck
		}
		return now.Add(retry)
	case Restoring, Rejected:
		return now.Add(retry)
	case Stable, Frozen, Removed:
	}
	if len(r.Owed) > 0 {
		return now.Add(retry)
	}
	return now.Add(resync)
}
