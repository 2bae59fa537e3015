package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-cd/sluice/schemas"
)

// An Unprobed is a probe that a container lacks, or one that asks something else
// than the service promises.
type Unprobed struct {
	Object    string // "Deployment/checkout"
	Container string
	Probe     string // startup, liveness or readiness
	Path      string // what it has to ask
	Found     *Probe // nil: there is none
}

func (u Unprobed) String() string {
	if u.Found == nil {
		return fmt.Sprintf("container %s of %s has no %s probe", u.Container, u.Object, u.Probe)
	}
	asks := strings.TrimSpace(u.Found.Kind + " " + u.Found.Path)
	return fmt.Sprintf("the %s probe of container %s of %s asks %s", u.Probe, u.Container, u.Object, asks)
}

// Unprobed lists what the containers of a release's own images (name to digest)
// lack of the probes that the service promises. Sidecars answer for themselves,
// and a job ends by itself.
func (r Report) Unprobed(images map[string]string, promised schemas.Health) []Unprobed {
	var out []Unprobed
	for _, c := range r.Containers {
		if !c.Sidecar && !c.ends() && r.runs(c, images) {
			out = append(out, c.unprobed(promised)...)
		}
	}
	return out
}

func (c Container) ends() bool {
	return strings.HasPrefix(c.Object, "Job/") || strings.HasPrefix(c.Object, "CronJob/")
}

// runs reports whether a container runs one of the images.
func (r Report) runs(c Container, images map[string]string) bool {
	return slices.ContainsFunc(r.Images, func(i Image) bool {
		name, digest, _ := strings.Cut(i.Image, "@")
		return i.Object == c.Object && i.Container == c.Name && digest != "" && images[name] == digest
	})
}

func (c Container) unprobed(promised schemas.Health) []Unprobed {
	var out []Unprobed
	for _, want := range []struct {
		name, path string
		probe      *Probe
	}{
		{"startup", promised.Startup, c.Startup},
		{"liveness", promised.Live, c.Liveness},
		{"readiness", promised.Ready, c.Readiness},
	} {
		if want.path != schemas.NoProbe && !want.probe.asks(want.path, promised.Excepted()) {
			out = append(out, Unprobed{c.Object, c.Name, want.name, want.path, want.probe})
		}
	}
	return out
}

// asks reports whether a probe asks what was promised. A gRPC call or a command
// tells as much as a path, but only a documented exception says that it stands
// for it; that a port accepts connections tells nothing.
func (p *Probe) asks(path string, excepted bool) bool {
	switch {
	case p == nil:
		return false
	case p.Kind == "grpc", p.Kind == "exec":
		return excepted
	}
	return p.Kind == "http" && p.Path == path
}
