package schemas

// MaxHolds is how many holds a release can have.
const MaxHolds = 100

// Control is <environment>/<service>/control.yaml, or <environment>/control.yaml
// for a whole environment: what people or Sluice have stopped.
type Control struct {
	APIVersion string `json:"apiVersion" jsonschema:"required,enum=sluice.dev/v1alpha1"`
	Kind       string `json:"kind" jsonschema:"required,enum=Control"`
	// Inputs that may not come back. For one release only.
	Holds []Hold `json:"holds,omitempty" jsonschema:"maxItems=100"`
	// No step forward and no new rollout; a rollback still runs. For one release only.
	Paused bool `json:"paused,omitempty"`
	// Why it is paused.
	Reason string `json:"reason,omitempty"`
	// No new rollout in the environment, and no step forward of a running one. In <environment>/control.yaml only.
	Freeze *Freeze `json:"freeze,omitempty"`

	origin *origin
}

// Hold refuses an artifact, or one revision of the inputs, until it is lifted by a reviewed change.
type Hold struct {
	// Every input with this artifact.
	Digest string `json:"digest,omitempty"`
	// These inputs only. With a digest as well: either one refuses.
	Revision string `json:"revision,omitempty"`
	Reason   string `json:"reason" jsonschema:"required"`
	// Who placed it.
	By string `json:"by,omitempty"`
	At Time   `json:"at,omitzero"`
	// The id of the rollback that placed it.
	Rollback string `json:"rollback,omitempty"`
}

// Freeze closes an environment until it is removed.
type Freeze struct {
	Reason string `json:"reason" jsonschema:"required"`
	By     string `json:"by,omitempty"`
	At     Time   `json:"at,omitzero"`
}
