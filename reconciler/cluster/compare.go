package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
)

const (
	// comparer is the field manager of requests that change nothing.
	comparer = "sluice-compare"
	// beside is the suffix of the name under which the API server is asked what
	// it would make of an object. Rendered names leave room for a longer one.
	beside = "-compare"
	// maxDifferences bounds how many differences a reason lists.
	maxDifferences = 3
	// restarted is what `kubectl rollout restart` writes: it changes no content.
	restarted = "kubectl.kubernetes.io/restartedAt"
)

// Compare says whether a workload runs under the names that its authors gave
// it, and where it differs from plain, which is rendered without a revision;
// "" when it does not. It asks the API server by dry runs alone, so nothing is
// written. Sizes and disruption budgets are no differences. Of the shared
// objects only those that are there count: the others come with the first
// rollout, as any new object does.
func (c *Cluster) Compare(ctx context.Context, key release.Key, plain render.Output) (found bool, differs string, err error) {
	workload, err := c.askAll(ctx, plain.Workload)
	if err != nil {
		return false, "", fmt.Errorf("compare %s: %w", key, err)
	}
	if !slices.ContainsFunc(workload, func(p pair) bool { return p.live != nil && runsPods(p.git) }) {
		return false, "", nil
	}
	shared, err := c.askAll(ctx, plain.Shared)
	if err != nil {
		return false, "", fmt.Errorf("compare %s: %w", key, err)
	}
	for i := range workload {
		workload[i].exact = true
	}
	lines, err := c.compareAll(ctx, labelOf(key), append(workload, shared...))
	if err != nil {
		return true, "", fmt.Errorf("compare %s: %w", key, err)
	}
	others, err := c.unrendered(ctx, plain)
	if err != nil {
		return true, "", fmt.Errorf("compare %s: %w", key, err)
	}
	return true, listed(append(lines, others...)), nil
}

// A pair is an object as git says it and as it is in the cluster; live is nil
// when it is not there. exact: it must have nothing that git does not say.
type pair struct {
	git, live *unstructured.Unstructured
	exact     bool
}

func runsPods(o *unstructured.Unstructured) bool {
	return stageOf(identify(o)) == stageWorkload && o.GetKind() != "Job"
}

func (c *Cluster) askAll(ctx context.Context, objects []*unstructured.Unstructured) ([]pair, error) {
	pairs := make([]pair, len(objects))
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(concurrency)
	for i, o := range objects {
		asking.Go(func() error {
			live, err := c.ask(ctx, o, identify(o))
			pairs[i] = pair{git: o, live: live}
			return err
		})
	}
	return pairs, asking.Wait()
}

func (c *Cluster) compareAll(ctx context.Context, label string, pairs []pair) ([]string, error) {
	lines := make([][]string, len(pairs))
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(concurrency)
	for i, p := range pairs {
		asking.Go(func() error {
			var err error
			lines[i], err = c.compareOne(ctx, label, p)
			return err
		})
	}
	err := asking.Wait()
	return slices.Concat(lines...), err
}

// compareOne says how one object differs, a line for each difference.
func (c *Cluster) compareOne(ctx context.Context, label string, p pair) ([]string, error) {
	id := identify(p.git)
	switch {
	case p.live == nil && (!p.exact || id.groupKind() == kindBudget):
		return nil, nil
	case id.Kind == "Job" && p.exact:
		return []string{fmt.Sprintf("%s would run once more under another name; take it out of git first", id)}, nil
	case p.live == nil:
		return []string{fmt.Sprintf("%s is in git and not in the cluster", id)}, nil
	}
	if !p.exact && p.live.GetLabels()[labelRelease] == label {
		return nil, nil // Sluice's by now, so the next pass puts it right
	}
	if owner, remedy := ownerMarks(p.live, label); owner != "" {
		return []string{fmt.Sprintf("%s belongs to %s; to hand it over: %s", id, owner, remedy)}, nil
	}
	if id.groupKind() == kindBudget {
		return nil, nil
	}
	git, err := c.completed(ctx, p)
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || err != nil && misspelt(err) {
		return []string{invalid(id, err)}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ask what %s would be: %w", id, err)
	}
	var lines []string
	for _, d := range differences("", content(p.live), content(git)) {
		lines = append(lines, fmt.Sprintf("%s: %s", id, d.words(id.groupKind() == kindSecret)))
	}
	return lines, nil
}

// invalid says that the API server would not take an object.
func invalid(id identity, err error) string {
	if id.groupKind() == kindSecret {
		return fmt.Sprintf("%s: the API server would not take what git says", id) // its words may hold a value
	}
	return fmt.Sprintf("%s: the API server would not take what git says: %v", id, err)
}

// completed is what the API server would make of git's object. An exact one is
// asked for under a name that nothing has, so that all that is in it comes from
// git and from defaults; another one over the live object, so that what others
// added to it stays.
func (c *Cluster) completed(ctx context.Context, p pair) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	o := p.git.DeepCopy()
	if err := clean(o); err != nil {
		return nil, err
	}
	if p.exact {
		o.SetName(o.GetName() + beside)
	}
	body, err := json.Marshal(o.Object)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", identify(o), err)
	}
	resource, err := c.resource(o.GroupVersionKind(), o.GetNamespace())
	if err != nil {
		return nil, err
	}
	force := true
	return resource.Patch(ctx, o.GetName(), types.ApplyPatchType, body, metav1.PatchOptions{
		FieldManager: comparer, FieldValidation: metav1.FieldValidationStrict,
		Force: &force, DryRun: []string{metav1.DryRunAll},
	})
}

// content is what of an object decides how it behaves, without its size.
func content(o *unstructured.Unstructured) map[string]any {
	fields := render.WithoutScale(o).DeepCopy().Object
	for _, name := range []string{"apiVersion", "kind", "metadata", "status"} {
		delete(fields, name)
	}
	unstructured.RemoveNestedField(fields, "spec", "template", "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(fields, "spec", "template", "metadata", "annotations", restarted)
	return fields
}

// listed joins the first lines and counts the others.
func listed(lines []string) string {
	more := len(lines) - maxDifferences
	if more <= 0 {
		return strings.Join(lines, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(lines[:maxDifferences], "; "), more)
}
