package catalog

import (
	"cmp"
	"io/fs"
	"maps"
	"slices"

	"github.com/sluice-cd/sluice/schemas"
)

// The files that have a meaning by their name.
const (
	PolicyFile        = "sluice.yaml"
	ServicesDir       = "services"
	ServiceFile       = "service.yaml"
	ReleaseFile       = "release.yaml"
	ControlFile       = "control.yaml"
	KustomizationFile = "kustomization.yaml"
)

// Key names a release. As the scope of a Problem, an empty part stands for all.
type Key struct {
	Environment string `json:"environment,omitempty"`
	Service     string `json:"service,omitempty"`
}

// String returns environment/service, which is also the release's directory.
func (k Key) String() string { return k.Environment + "/" + k.Service }

// concerns says whether a problem of scope k is a problem of the release.
func (k Key) concerns(release Key) bool {
	return (k.Environment == "" || k.Environment == release.Environment) &&
		(k.Service == "" || k.Service == release.Service)
}

// Catalog is what one commit asks for.
type Catalog struct {
	Policy   schemas.Policy
	Services map[string]schemas.Service
	Releases map[Key]schemas.Release
	// Controls holds the control files of single releases.
	Controls map[Key]schemas.Control
	// EnvironmentControls holds the control files of whole environments.
	EnvironmentControls map[string]schemas.Control
}

// Keys returns the releases in promotion order, then by service.
func (c Catalog) Keys() []Key {
	return slices.SortedFunc(maps.Keys(c.Releases), func(a, b Key) int {
		return cmp.Or(
			cmp.Compare(c.Policy.Index(a.Environment), c.Policy.Index(b.Environment)),
			cmp.Compare(a.Service, b.Service),
		)
	})
}

// Load reads everything. Files that are not valid are absent from the catalog and
// present in the problems.
func Load(fsys fs.FS) (Catalog, Problems) {
	r := newReader(fsys)
	r.policy()
	r.services()
	r.environments()
	return r.catalog, r.finish()
}
