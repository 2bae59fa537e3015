package render

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Input is everything that a build depends on.
type Input struct {
	Release   string            // "production/checkout"
	Files     fs.FS             // at least Dir and services/<Service>/; symbolic links and submodules must show in the mode
	FilesID   string            // optional: equal ids promise equal Files, so that Pool need not read them again
	Dir       string            // slash-separated directory of the release, "production/checkout"
	Service   string            // "checkout"
	Images    map[string]string // image name to "sha256:…", put into every container that uses the image; each must be used
	Namespace string            // where every object lands
	Revision  string            // short id; "" renders plainly: no suffix, no labels
	Limits    Limits            // zero fields take their defaults
}

// Output is what one release consists of.
type Output struct {
	// Workload objects belong to one revision. With a revision all but
	// StatefulSets, DaemonSets and CronJobs (and what scales or protects them)
	// carry it as name suffix.
	Workload []*unstructured.Unstructured `json:"workload"`
	// Shared objects are the same for all revisions and keep their names.
	Shared []*unstructured.Unstructured `json:"shared"`
	Report Report                       `json:"report"`
	// WorkloadHash covers the workload without revision, replicas, autoscaler
	// bounds and disruption budgets: equal hashes need no rollout.
	WorkloadHash string `json:"workloadHash"`
	// ManifestHash covers every rendered byte in canonical form.
	ManifestHash string `json:"manifestHash"`
}

// job is an Input with its files read: what a worker process is sent.
type job struct {
	Release   string            `json:"release"`
	Dir       string            `json:"dir"`
	Service   string            `json:"service"`
	Images    map[string]string `json:"images,omitempty"`
	Namespace string            `json:"namespace"`
	Revision  string            `json:"revision,omitempty"`
	Limits    Limits            `json:"limits"`
	Files     tree              `json:"files,omitempty"`
}

// Build renders in this process. The limits on input hold; those on time and
// memory need a Pool.
func Build(ctx context.Context, in Input) (Output, error) {
	j, err := newJob(in)
	if err != nil {
		return Output{}, err
	}
	if j.Files, err = collect(ctx, in.Files, j.Dir, j.Service, j.Limits); err != nil {
		return Output{}, err
	}
	return j.build(ctx)
}

// newJob checks the words of in; its files are still to be read.
func newJob(in Input) (job, error) {
	j := job{
		Release: in.Release, Dir: in.Dir, Service: in.Service, Images: in.Images,
		Namespace: in.Namespace, Revision: in.Revision, Limits: in.Limits.withDefaults(),
	}
	if !fs.ValidPath(j.Dir) || j.Dir == "." {
		return j, fmt.Errorf("check input: directory %q is not a plain relative path", j.Dir)
	}
	if errs := validation.IsDNS1123Label(j.Service); len(errs) > 0 {
		return j, fmt.Errorf("check input: service %q: %s", j.Service, strings.Join(errs, "; "))
	}
	if errs := validation.IsDNS1123Label(j.Namespace); len(errs) > 0 {
		return j, fmt.Errorf("check input: namespace %q: %s", j.Namespace, strings.Join(errs, "; "))
	}
	if errs := validation.IsValidLabelValue(ReleaseLabelValue(j.Release)); len(errs) > 0 || j.Release == "" {
		return j, fmt.Errorf("check input: release %q: %s", j.Release, strings.Join(errs, "; "))
	}
	if j.Revision != "" && !revisionPattern.MatchString(j.Revision) {
		return j, fmt.Errorf("check input: revision %q is not 1 to 16 lower-case letters and digits", j.Revision)
	}
	for name, digest := range j.Images {
		if !digestPattern.MatchString(digest) || name == "" {
			return j, fmt.Errorf("check input: image %q: digest %q is not sha256:<64 hex digits>", name, digest)
		}
	}
	return j, nil
}

var (
	revisionPattern = regexp.MustCompile(`^[a-z0-9]{1,16}$`)
	digestPattern   = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// build is the whole way from files to output.
func (j job) build(ctx context.Context) (Output, error) {
	scan := newPrescan(j.Files, j.Limits)
	if err := scan.check(j.Dir); err != nil {
		return Output{}, err
	}
	objects, err := j.kustomize(ctx, j.Files, j.Dir)
	if err != nil {
		return Output{}, err
	}
	c := checker{job: j, where: scan.where}
	if err := c.check(objects); err != nil {
		return Output{}, err
	}
	if err := c.putImages(objects); err != nil {
		return Output{}, err
	}
	s, err := c.split(objects)
	if err != nil {
		return Output{}, err
	}
	return c.finish(ctx, s)
}

// finish names, labels, reports and hashes what was split.
func (c *checker) finish(ctx context.Context, s *split) (Output, error) {
	out := Output{Report: c.report(s)}
	var err error
	if out.WorkloadHash, err = workloadHash(s.workload); err != nil {
		return Output{}, err
	}
	revision := c.job.Revision
	if revision == "" {
		revision = nominalRevision // a plain render finds the same faults
	}
	renamed, err := c.rename(ctx, s, revision)
	if err != nil {
		return Output{}, err
	}
	if c.job.Revision != "" {
		s.workload = renamed
		c.label(s)
	}
	out.Workload, out.Shared = byName(s.workload), byName(s.shared)
	if out.ManifestHash, err = hashObjects(slices.Concat(out.Workload, out.Shared)); err != nil {
		return Output{}, err
	}
	return out, nil
}

// nominalRevision stands for any revision when only the faults matter.
const nominalRevision = "00000000"

func byName(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	return slices.SortedFunc(slices.Values(objects), func(a, b *unstructured.Unstructured) int {
		return cmp.Or(
			cmp.Compare(a.GroupVersionKind().Group, b.GroupVersionKind().Group),
			cmp.Compare(a.GetKind(), b.GetKind()),
			cmp.Compare(a.GetName(), b.GetName()),
		)
	})
}

// kustomize builds dir of files in memory. The schema that kustomize keeps
// for the process stays warm, since no input may replace it.
func (j job) kustomize(ctx context.Context, files tree, dir string) (objects []*unstructured.Unstructured, err error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("build %s: %w", dir, context.Cause(ctx))
	}
	defer func() {
		// kustomize panics on some malformed objects.
		if r := recover(); r != nil {
			objects, err = nil, refuse(dir, 0, "correct the object or patch it names", "kustomize gave up: %v", r)
		}
	}()
	memory := filesys.MakeFsInMemory()
	for _, name := range sorted(files) {
		if err := memory.WriteFile("/"+name, files[name]); err != nil {
			return nil, fmt.Errorf("stage %s: %w", name, err)
		}
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(memory, "/"+dir)
	if err != nil {
		return nil, refuse(dir, 0, "`kustomize build "+dir+"` shows the same error", "%s", withoutConfig(err))
	}
	for _, resource := range built.Resources() {
		data, err := resource.MarshalJSON()
		if err != nil {
			return nil, refuse(dir, 0, "correct the object", "%s cannot be written as JSON: %v", resource.CurId(), err)
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(data); err != nil {
			return nil, refuse(dir, 0, "correct the object", "%s is not an object: %v", resource.CurId(), err)
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// withoutConfig drops the plugin configuration that kustomize quotes in its
// errors: it can hold a secret.
func withoutConfig(err error) string {
	before, _, _ := strings.Cut(err.Error(), "with config:")
	return strings.TrimSpace(before)
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
