package render

import (
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

// split is a render divided by who owns the objects.
type split struct {
	workload []*unstructured.Unstructured // of one revision
	shared   []*unstructured.Unstructured // of all revisions
	renamed  map[object]bool              // workload objects whose name carries the revision
	pods     []pods
	scalers  map[object]*unstructured.Unstructured // workload to what scales it
	budgets  map[object]*unstructured.Unstructured // workload to its disruption budget
	notes    []Note
}

// object names an object within a render: kinds are unique across the groups
// that can be renamed.
type object struct{ kind, name string }

func idOf(o *unstructured.Unstructured) object { return object{o.GetKind(), o.GetName()} }

// pods is a workload with its template, typed.
type pods struct {
	object   *unstructured.Unstructured
	template corev1.PodTemplateSpec
}

func isWorkload(o *unstructured.Unstructured) bool {
	switch gk := o.GroupVersionKind().GroupKind(); gk.Group {
	case "apps":
		return gk.Kind == "Deployment" || gk.Kind == "StatefulSet" || gk.Kind == "DaemonSet"
	case "batch":
		return gk.Kind == "Job" || gk.Kind == "CronJob"
	}
	return false
}

// perRevision reports the workloads that exist once per revision. A
// StatefulSet's identity and volumes hang on its name, a second DaemonSet
// doubles every node's pods, and a second CronJob runs everything twice: these
// change in place.
func perRevision(o *unstructured.Unstructured) bool {
	return o.GetKind() == "Deployment" || o.GetKind() == "Job"
}

// split decides by kind and by reference what belongs to a revision.
func (c *checker) split(objects []*unstructured.Unstructured) (*split, error) {
	s := &split{
		renamed: map[object]bool{},
		scalers: map[object]*unstructured.Unstructured{},
		budgets: map[object]*unstructured.Unstructured{},
	}
	var rest []*unstructured.Unstructured
	for _, o := range objects {
		if !isWorkload(o) {
			rest = append(rest, o)
			continue
		}
		if err := c.addWorkload(s, o); err != nil {
			return nil, err
		}
	}
	mounted := mountedBy(s.pods)
	for _, o := range rest {
		if err := c.place(s, o, mounted); err != nil {
			return nil, err
		}
	}
	return s, c.ambiguous(s)
}

func (c *checker) addWorkload(s *split, o *unstructured.Unstructured) error {
	p := pods{object: o}
	template, _ := podTemplate(o)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(template, &p.template); err != nil || template == nil {
		return c.refuse(o, "correct the pod template", "%v", errors.Join(err, missing(template)))
	}
	if len(p.template.Spec.Containers) == 0 {
		return c.refuse(o, "add a container", "no containers")
	}
	if err := c.selector(o, p.template.Labels); err != nil {
		return err
	}
	s.pods = append(s.pods, p)
	s.add(o, perRevision(o))
	return nil
}

func missing(template map[string]any) error {
	if template == nil {
		return errors.New("no pod template")
	}
	return nil
}

// selector refuses what the API server would refuse after the rollout began.
func (c *checker) selector(o *unstructured.Unstructured, podLabels map[string]string) error {
	if o.GroupVersionKind().Group != "apps" {
		return nil
	}
	selector, err := selectorOf(o)
	if err != nil {
		return c.refuse(o, "correct spec.selector", "%v", err)
	}
	if selector.Empty() || !selector.Matches(labels.Set(podLabels)) {
		return c.refuse(o, "make spec.selector match the labels of the pod template", "selector does not match its own pods")
	}
	return nil
}

func selectorOf(o *unstructured.Unstructured) (labels.Selector, error) {
	var selector metav1.LabelSelector
	if m := nestedMap(o.Object, "spec", "selector"); m != nil {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(m, &selector); err != nil {
			return nil, fmt.Errorf("read selector: %w", err)
		}
	}
	s, err := metav1.LabelSelectorAsSelector(&selector)
	if err != nil {
		return nil, fmt.Errorf("read selector: %w", err)
	}
	return s, nil
}

// add puts an object among the workload; renamed says that its name carries
// the revision.
func (s *split) add(o *unstructured.Unstructured, renamed bool) {
	s.workload = append(s.workload, o)
	if renamed {
		s.renamed[idOf(o)] = true
	}
}

func (s *split) note(o *unstructured.Unstructured, format string, args ...any) {
	s.notes = append(s.notes, Note{Object: o.GetKind() + "/" + o.GetName(), Text: fmt.Sprintf(format, args...)})
}

// place decides about one object that runs no pods.
func (c *checker) place(s *split, o *unstructured.Unstructured, mounted map[object]bool) error {
	switch {
	case is(o, "", "ConfigMap"), is(o, "", "Secret"):
		if mounted[idOf(o)] {
			s.add(o, true)
			return nil
		}
	case scalerField(o) != "":
		return c.placeScaler(s, o)
	case is(o, "policy", "PodDisruptionBudget"):
		return c.placeBudget(s, o)
	}
	s.shared = append(s.shared, o)
	return nil
}

// scalerField is the field with which a kind names the workload it scales.
func scalerField(o *unstructured.Unstructured) string {
	switch {
	case is(o, "autoscaling", "HorizontalPodAutoscaler"), is(o, "keda.sh", "ScaledObject"):
		return "scaleTargetRef"
	case is(o, "autoscaling.k8s.io", "VerticalPodAutoscaler"):
		return "targetRef"
	}
	return ""
}

func (c *checker) placeScaler(s *split, o *unstructured.Unstructured) error {
	target := scaleTarget(o)
	for _, p := range s.pods {
		if idOf(p.object) != target {
			continue
		}
		s.add(o, s.renamed[target])
		if !is(o, "autoscaling.k8s.io", "VerticalPodAutoscaler") {
			if other := s.scalers[target]; other != nil {
				return c.refuse(o, "keep one of them", "%s %s already scales %s %s", other.GetKind(), other.GetName(), target.kind, target.name)
			}
			s.scalers[target] = o
		}
		return nil
	}
	return c.refuse(o, "name a workload of this release", "its target %s %s is not rendered", target.kind, target.name)
}

func scaleTarget(o *unstructured.Unstructured) object {
	ref := nestedMap(o.Object, "spec", scalerField(o))
	kind := text(ref["kind"])
	if kind == "" {
		kind = "Deployment" // KEDA's default
	}
	return object{kind, text(ref["name"])}
}

func (c *checker) placeBudget(s *split, o *unstructured.Unstructured) error {
	var budget policyv1.PodDisruptionBudget
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &budget); err != nil {
		return c.refuse(o, "correct it", "%v", err)
	}
	selector, err := selectorOf(o)
	if err != nil {
		return c.refuse(o, "correct spec.selector", "%v", err)
	}
	var matched, renamed bool
	for _, p := range s.pods {
		if selector.Empty() || !selector.Matches(labels.Set(p.template.Labels)) {
			continue
		}
		matched = true
		renamed = renamed || s.renamed[idOf(p.object)]
		s.budgets[idOf(p.object)] = o
	}
	if !matched {
		s.note(o, "protects no pods of this release; it is kept as it is")
		s.shared = append(s.shared, o)
		return nil
	}
	s.add(o, renamed)
	return nil
}

// ambiguous refuses two workloads of one name: autoscaler targets are told
// apart by name when they are rewritten.
func (c *checker) ambiguous(s *split) error {
	names := map[string]string{}
	for _, p := range s.pods {
		name := p.object.GetName()
		if other, taken := names[name]; taken {
			return c.refuse(p.object, "give the workloads different names", "a %s has the same name", other)
		}
		names[name] = p.object.GetKind()
	}
	return nil
}

// mountedBy returns the ConfigMaps and Secrets that pods read.
func mountedBy(all []pods) map[object]bool {
	out := map[object]bool{}
	add := func(kind, name string) { out[object{kind, name}] = true }
	for _, p := range all {
		spec := p.template.Spec
		for _, volume := range spec.Volumes {
			fromVolume(volume.VolumeSource, add)
		}
		for _, secret := range spec.ImagePullSecrets {
			add("Secret", secret.Name)
		}
		for _, container := range slices.Concat(spec.InitContainers, spec.Containers) {
			fromContainer(container, add)
		}
	}
	return out
}

func fromVolume(v corev1.VolumeSource, add func(kind, name string)) {
	if v.ConfigMap != nil {
		add("ConfigMap", v.ConfigMap.Name)
	}
	if v.Secret != nil {
		add("Secret", v.Secret.SecretName)
	}
	if v.Projected == nil {
		return
	}
	for _, source := range v.Projected.Sources {
		if source.ConfigMap != nil {
			add("ConfigMap", source.ConfigMap.Name)
		}
		if source.Secret != nil {
			add("Secret", source.Secret.Name)
		}
	}
}

func fromContainer(container corev1.Container, add func(kind, name string)) {
	for _, from := range container.EnvFrom {
		if from.ConfigMapRef != nil {
			add("ConfigMap", from.ConfigMapRef.Name)
		}
		if from.SecretRef != nil {
			add("Secret", from.SecretRef.Name)
		}
	}
	for _, env := range container.Env {
		if env.ValueFrom == nil {
			continue
		}
		if ref := env.ValueFrom.ConfigMapKeyRef; ref != nil {
			add("ConfigMap", ref.Name)
		}
		if ref := env.ValueFrom.SecretKeyRef; ref != nil {
			add("Secret", ref.Name)
		}
	}
}
