package schemas

// Change classes, by which the number of approvals is chosen.
const (
	ChangeStandard = "standard"
	ChangeBreaking = "breaking"
	ChangeSecurity = "security"
	ChangeHotfix   = "hotfix"
)

// StateRetired drains and removes a release.
const StateRetired = "retired"

// Release is <environment>/<service>/release.yaml: which artifact runs there.
type Release struct {
	APIVersion string `json:"apiVersion" jsonschema:"required,enum=sluice.dev/v1alpha1"`
	Kind       string `json:"kind" jsonschema:"required,enum=Release"`
	// Either artifact or artifacts.
	Artifact *Artifact `json:"artifact,omitempty" jsonschema:"oneof_required=artifact"`
	// Several images that are moved together.
	Artifacts []Artifact `json:"artifacts,omitempty" jsonschema:"oneof_required=artifacts,minItems=1"`
	// The commit of this repository that services/<service>/ is read from. Left out in the first environment only, where it is the same commit.
	Base string `json:"base,omitempty" jsonschema:"pattern=^[0-9a-f]{40}$"`
	// Default: standard.
	Change string `json:"change,omitempty" jsonschema:"enum=standard,enum=breaking,enum=security,enum=hotfix"`
	// Required by hotfix.
	Incident string `json:"incident,omitempty"`
	// retired drains and removes the release.
	State string `json:"state,omitempty" jsonschema:"enum=retired"`

	origin *origin
}

// Artifact is one image by digest.
type Artifact struct {
	// Without tag and digest.
	Image string `json:"image" jsonschema:"required"`
	// sha256: and 64 hexadecimal digits.
	Digest string `json:"digest" jsonschema:"required,pattern=^sha256:[0-9a-f]{64}$"`
	// For people; never used to decide.
	Version string         `json:"version,omitempty"`
	Source  ArtifactSource `json:"source" jsonschema:"required"`
}

// ArtifactSource is the commit that an artifact was built from.
type ArtifactSource struct {
	// owner/name on the forge.
	Repository string `json:"repository" jsonschema:"required"`
	Commit     string `json:"commit" jsonschema:"required,pattern=^[0-9a-f]{40}$"`
}

// List returns the artifacts of a release, whether it was written with artifact or artifacts.
func (r Release) List() []Artifact {
	if r.Artifact != nil {
		return []Artifact{*r.Artifact}
	}
	return r.Artifacts
}

// Retired says whether the release is to be drained and removed.
func (r Release) Retired() bool { return r.State == StateRetired }

// Position returns where a path such as base or artifact.digest was written, or the
// nearest one around it; zero for a release that was not decoded from a file.
func (r Release) Position(path string) (line, column int) {
	at := r.origin.nearest(path)
	return at.line, at.column
}
