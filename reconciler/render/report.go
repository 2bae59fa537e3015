package render

import (
	"cmp"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Report holds the facts that gates and traffic need. Names are those in the
// repository, without revision.
type Report struct {
	Workloads  []Workload  `json:"workloads,omitempty"`
	Images     []Image     `json:"images,omitempty"`
	Containers []Container `json:"containers,omitempty"`
	Services   []Apex      `json:"services,omitempty"`
	Routes     []RouteRef  `json:"routes,omitempty"`
	Notes      []Note      `json:"notes,omitempty"`
}

// Workload is an object that runs pods.
type Workload struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	InPlace bool   `json:"inPlace,omitempty"` // one object for all revisions: it keeps its name
	// Replicas is nil when the field is absent (the API server then says 1).
	Replicas    *int64 `json:"replicas,omitempty"`
	Scaler      string `json:"scaler,omitempty"` // "HorizontalPodAutoscaler/checkout"
	MinReplicas *int64 `json:"minReplicas,omitempty"`
	MaxReplicas *int64 `json:"maxReplicas,omitempty"`
	Budget      string `json:"budget,omitempty"`   // name of its PodDisruptionBudget
	Strategy    string `json:"strategy,omitempty"` // spec.strategy.type or spec.updateStrategy.type as written
	// Claims are the PersistentVolumeClaims that its pods share.
	Claims []string `json:"claims,omitempty"`
}

// Image is one use of an image.
type Image struct {
	Object    string `json:"object"`    // "Deployment/checkout"
	Container string `json:"container"` // container name, or "volume <name>"
	Image     string `json:"image"`
	Pinned    bool   `json:"pinned"` // by digest
}

// Container is a long-running container and its probes.
type Container struct {
	Object    string `json:"object"`
	Name      string `json:"name"`
	Sidecar   bool   `json:"sidecar,omitempty"` // an init container that keeps running
	Startup   *Probe `json:"startup,omitempty"`
	Liveness  *Probe `json:"liveness,omitempty"`
	Readiness *Probe `json:"readiness,omitempty"`
}

// Probe is how the kubelet asks.
type Probe struct {
	Kind string `json:"kind"`           // http, grpc, tcp or exec
	Path string `json:"path,omitempty"` // of an http probe; the service of a grpc probe
	Port string `json:"port,omitempty"` // number or name
}

// Apex is a Service in front of the pods of every revision.
type Apex struct {
	Name   string `json:"name"`
	Pinned bool   `json:"pinned"` // false: it opted out of being pinned to the stable revision
	Ports  []Port `json:"ports,omitempty"`
}

// Port is one port of a Service.
type Port struct {
	Name     string `json:"name,omitempty"`
	Port     int32  `json:"port"`
	Protocol string `json:"protocol,omitempty"` // "" is TCP
}

// RouteRef is a backendRef of a route that names an apex Service.
type RouteRef struct {
	Kind    string `json:"kind"` // HTTPRoute or GRPCRoute
	Name    string `json:"name"`
	Rule    int    `json:"rule"`    // index in spec.rules
	Backend int    `json:"backend"` // index in its backendRefs
	Service string `json:"service"`
	Port    int64  `json:"port,omitempty"`
	Alone   bool   `json:"alone"` // the rule has no other backend
}

// Note is something a person may want to know.
type Note struct {
	Object string `json:"object"`
	Text   string `json:"text"`
}

// report gathers the facts of a render whose names are still plain.
func (c *checker) report(s *split) Report {
	var r Report
	for _, p := range s.pods {
		r.Workloads = append(r.Workloads, s.describe(p))
		r.Containers = append(r.Containers, containersOf(p)...)
	}
	all := byName(slices.Concat(s.workload, s.shared))
	for _, o := range all {
		name := o.GetKind() + "/" + o.GetName()
		eachImage(o, func(user, image string) string {
			r.Images = append(r.Images, Image{Object: name, Container: user, Image: image, Pinned: pinned(image)})
			return image
		})
		if s.apex(o) {
			r.Services = append(r.Services, describeApex(o))
		}
	}
	for _, o := range all {
		for _, apex := range r.Services {
			r.Routes = append(r.Routes, routeRefs(o, apex.Name)...)
		}
	}
	slices.SortFunc(r.Workloads, func(a, b Workload) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name)) })
	slices.SortStableFunc(r.Containers, func(a, b Container) int { return cmp.Compare(a.Object, b.Object) })
	r.Notes = s.notes
	return r
}

func (s *split) describe(p pods) Workload {
	o := p.object
	id := idOf(o)
	w := Workload{Kind: id.kind, Name: id.name, InPlace: !s.renamed[id], Replicas: number(o.Object, "spec", "replicas")}
	for _, field := range []string{"strategy", "updateStrategy"} {
		w.Strategy = cmp.Or(w.Strategy, text(nestedMap(o.Object, "spec", field)["type"]))
	}
	if scaler := s.scalers[id]; scaler != nil {
		w.Scaler = scaler.GetKind() + "/" + scaler.GetName()
		w.MinReplicas = firstNumber(scaler, "minReplicas", "minReplicaCount")
		w.MaxReplicas = firstNumber(scaler, "maxReplicas", "maxReplicaCount")
	}
	if budget := s.budgets[id]; budget != nil {
		w.Budget = budget.GetName()
	}
	for _, volume := range p.template.Spec.Volumes {
		if claim := volume.PersistentVolumeClaim; claim != nil {
			w.Claims = append(w.Claims, claim.ClaimName)
		}
	}
	return w
}

func firstNumber(o *unstructured.Unstructured, fields ...string) *int64 {
	for _, field := range fields {
		if n := number(o.Object, "spec", field); n != nil {
			return n
		}
	}
	return nil
}

func number(m map[string]any, fields ...string) *int64 {
	last := len(fields) - 1
	if n, ok := nestedMap(m, fields[:last]...)[fields[last]].(int64); ok {
		return &n
	}
	return nil
}

func containersOf(p pods) []Container {
	var out []Container
	object := p.object.GetKind() + "/" + p.object.GetName()
	for _, c := range p.template.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			out = append(out, describeContainer(object, c, true))
		}
	}
	for _, c := range p.template.Spec.Containers {
		out = append(out, describeContainer(object, c, false))
	}
	return out
}

func describeContainer(object string, c corev1.Container, sidecar bool) Container {
	return Container{
		Object: object, Name: c.Name, Sidecar: sidecar,
		Startup: describeProbe(c.StartupProbe), Liveness: describeProbe(c.LivenessProbe), Readiness: describeProbe(c.ReadinessProbe),
	}
}

func describeProbe(p *corev1.Probe) *Probe {
	switch {
	case p == nil:
		return nil
	case p.HTTPGet != nil:
		return &Probe{Kind: "http", Path: p.HTTPGet.Path, Port: p.HTTPGet.Port.String()}
	case p.GRPC != nil:
		probe := &Probe{Kind: "grpc", Port: strconv.Itoa(int(p.GRPC.Port))}
		if p.GRPC.Service != nil {
			probe.Path = *p.GRPC.Service
		}
		return probe
	case p.TCPSocket != nil:
		return &Probe{Kind: "tcp", Port: p.TCPSocket.Port.String()}
	case p.Exec != nil:
		return &Probe{Kind: "exec"}
	}
	return nil // a probe without a handler: the API server refuses it
}
