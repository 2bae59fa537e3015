package release

import (
	"time"

	"github.com/sluice-cd/sluice/analysis"
)

// Readiness is the state of a revision's workload objects.
type Readiness string

// The readiness of a workload. Unknown is not failed: it means that the
// cluster could not be asked or has not caught up with the last change.
const (
	Ready      Readiness = "ready"
	InProgress Readiness = "in-progress"
	Failed     Readiness = "failed"
	Absent     Readiness = "absent"
	Unknowable Readiness = "unknown"
)

// Observed is what the cluster says of one release.
type Observed struct {
	At time.Time `json:"at"`
	// Revisions has an entry for each revision found or wanted.
	Revisions map[string]RevisionStatus `json:"revisions"`
	Route     RouteStatus               `json:"route"`
	// Converged reports that every object of the wanted State is applied and
	// everything else of the release is verified gone.
	Converged bool `json:"converged"`
	// Rehoming is what a Rehome waits for; "" when there is none or it is done.
	Rehoming string `json:"rehoming,omitempty"`
	// Guarded is why a prune was refused; a person has to look.
	Guarded string `json:"guarded,omitempty"`
	// Contested lists objects that somebody keeps changing: putting them right
	// has stopped, so that two controllers do not fight over them.
	Contested []Contest `json:"contested,omitempty"`
}

// A Contest is one object that does not stay as applied.
type Contest struct {
	Object  string    `json:"object"`            // "Deployment shop-production/checkout-7f3a9c1e"
	Manager string    `json:"manager,omitempty"` // the field manager that changed it last; "" when it was deleted
	At      time.Time `json:"at,omitzero"`       // when it did
}

// RevisionStatus is one revision's workload as the cluster sees it.
type RevisionStatus struct {
	Readiness Readiness      `json:"readiness"`
	Reason    string         `json:"reason,omitempty"`
	Replicas  int            `json:"replicas"` // wanted
	Pods      []analysis.Pod `json:"pods,omitempty"`
	// Endpoints counts the ready endpoints of the revision's Service.
	Endpoints int `json:"endpoints"`
}

// RouteStatus is what the traffic layer has accepted.
type RouteStatus struct {
	// Accepted: every parent accepted the route, with its references, at the
	// current generation. True where there is no route.
	Accepted bool   `json:"accepted"`
	Reason   string `json:"reason,omitempty"`
	// Weight is the candidate's percentage as written in the live objects,
	// and Achievable the one that the mechanism can really give (they differ
	// without a gateway). Candidate is whom it is for.
	Candidate  string  `json:"candidate,omitempty"`
	Weight     int     `json:"weight"`
	Achievable float64 `json:"achievable"`
}
