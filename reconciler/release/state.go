package release

// State is what the cluster should look like for one release. It is derived
// from the record alone, so that apply, step, drift and rollback all converge
// on the same thing and a restart needs nothing else.
type State struct {
	// Workloads lists the revisions that run. Any other revision of the
	// release is pruned.
	Workloads []Workload `json:"workloads,omitempty"`
	// Shared is the revision whose shared objects (Service, route, account)
	// apply; "" when the release has none left or none yet.
	Shared  string  `json:"shared,omitempty"`
	Traffic Traffic `json:"traffic,omitzero"`
	// Retired prunes the release once its traffic has gone; claims stay.
	Retired bool `json:"retired,omitempty"`
	// AsIs lists revisions that no longer render to what was verified: what is
	// there of them stays as it is. Only their share of the traffic, and what is
	// missing of them, is put right. Whoever renders adds it; it is in no record.
	AsIs []string `json:"asIs,omitempty"`
	// Rehome: stable's workload still runs under the names that its authors gave
	// it. It is made again under the revision's, traffic moves there, and what ran
	// before goes.
	Rehome bool `json:"rehome,omitempty"`
	// Hands off: nothing of the release is applied, restored or pruned. An
	// adopted release is in this state until its first rollout.
	Observed bool `json:"observed,omitempty"`
}

// A Workload is one revision that runs.
type Workload struct {
	Revision string `json:"revision"` // Revision.ID
	// KeepSize holds the size at its value when the rollout began, so that an
	// autoscaler does not shrink the way back while traffic is elsewhere.
	KeepSize bool `json:"keepSize,omitempty"`
	// Share is the percentage of the release's traffic that the revision must
	// be able to carry before the traffic comes; 100 for stable.
	Share int `json:"share"`
}

// Traffic says who serves. Weights are percentages.
type Traffic struct {
	// Stable receives 100 − Weight; the apex Services select it.
	Stable string `json:"stable,omitempty"`
	// Candidate receives Weight; "" when there is none.
	Candidate string `json:"candidate,omitempty"`
	Weight    int    `json:"weight,omitempty"`
}

// A Place is where a release runs and how its traffic is divided.
type Place struct {
	Namespace string `json:"namespace"`
	// Service is the apex Service, the one that callers know; "" without one.
	Service string `json:"service,omitempty"`
	// Traffic is "gateway", "replicas" or "none"; Route is the HTTPRoute or
	// GRPCRoute that carries the weights of a gateway.
	Traffic string `json:"traffic"`
	Route   string `json:"route,omitempty"`
}
