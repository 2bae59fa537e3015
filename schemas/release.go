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
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	// Either artifact or artifacts.
	Artifact *Artifact `json:"artifact,omitempty"`
	// Several images that are moved together.
	Artifacts []Artifact `json:"artifacts,omitempty"`
	// The commit of this repository that services/<service>/ is read from. Left out in the first environment only, where it is the same commit.
	Base string `json:"base,omitempty"`
	// standard, breaking, security or hotfix. Default: standard.
	Change string `json:"change,omitempty"`
	// Required by hotfix.
	Incident string `json:"incident,omitempty"`
	// retired drains and removes the release.
	State string `json:"state,omitempty"`

	origin *origin
}

// Artifact is one image by digest.
type Artifact struct {
	// Without tag and digest.
	Image string `json:"image"`
	// sha256: and 64 hexadecimal digits.
	Digest string `json:"digest"`
	// For people; never used to decide.
	Version string         `json:"version,omitempty"`
	Source  ArtifactSource `json:"source"`
}

// ArtifactSource is the commit that an artifact was built from.
type ArtifactSource struct {
	// owner/name on the forge.
	Repository string `json:"repository"`
	Commit     string `json:"commit"`
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
