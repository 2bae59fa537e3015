package cluster

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// An identity names an object regardless of the version it is written in.
type identity struct{ Group, Kind, Namespace, Name string }

func identify(o *unstructured.Unstructured) identity {
	gvk := o.GroupVersionKind()
	return identity{gvk.Group, gvk.Kind, o.GetNamespace(), o.GetName()}
}

func (i identity) groupKind() schema.GroupKind {
	return schema.GroupKind{Group: i.Group, Kind: i.Kind}
}

func (i identity) String() string {
	if i.Namespace == "" {
		return i.Kind + " " + i.Name
	}
	return i.Kind + " " + i.Namespace + "/" + i.Name
}

// A live object is what is kept in memory of an object in the cluster: not its
// body, only what the diff, the traffic and the health need. It is never
// modified once it is in a cache.
type live struct {
	metav1.TypeMeta
	metav1.ObjectMeta // name, namespace, UID, versions, deletion; labels and annotations of sluice.dev only

	// fields is the managedFields entry of Sluice's own applies, as it came.
	fields []byte
	// last is who else wrote to the object's desired state last.
	last actor
	// exception is what a person declared to keep a change; nil for none.
	exception *exception

	status  status.Status
	message string

	replicas *int // spec.replicas, in the kinds that have it
	running  int  // status.readyReplicas
	selector map[string]string
	route    *routeFacts
	pod      *analysis.Pod
	podSet   labels.Set // a pod's labels, which Services select by
	slice    *sliceFacts
}

// alike reports whether two states of an object are the same to Sluice.
func (l *live) alike(other *live) bool {
	a, b := *l, *other
	a.ResourceVersion, b.ResourceVersion = "", ""
	a.last, b.last = actor{}, actor{}
	return reflect.DeepEqual(a, b)
}

// An actor is a field manager and when it wrote.
type actor struct {
	manager string
	at      time.Time
}

// DeepCopyObject makes a live object acceptable to the informer machinery; as
// live objects are immutable it is the object itself.
func (l *live) DeepCopyObject() runtime.Object { return l }

func (l *live) identity() identity {
	gvk := l.GroupVersionKind()
	return identity{gvk.Group, gvk.Kind, l.Namespace, l.Name}
}

func (l *live) release() string  { return l.Labels[labelRelease] }
func (l *live) revision() string { return l.Labels[labelRevision] }

// adoptedBy reports an object that was there before Sluice and that the release
// may take over.
func (l *live) adoptedBy(key release.Key) bool { return l.Annotations[annotationAdopt] == key.String() }

// transform is the informers' TransformFunc. It is idempotent, as client-go
// requires: a relist may hand it what it has returned before.
func transform(o any) (any, error) {
	u, ok := o.(*unstructured.Unstructured)
	if !ok {
		return o, nil
	}
	return digest(u)
}

func digest(u *unstructured.Unstructured) (*live, error) {
	l := &live{
		TypeMeta: metav1.TypeMeta{APIVersion: u.GetAPIVersion(), Kind: u.GetKind()},
		ObjectMeta: metav1.ObjectMeta{
			Name: u.GetName(), Namespace: u.GetNamespace(), UID: u.GetUID(),
			ResourceVersion: u.GetResourceVersion(), Generation: u.GetGeneration(),
			DeletionTimestamp: u.GetDeletionTimestamp(),
			Labels:            ours(u.GetLabels()), Annotations: ours(u.GetAnnotations()),
		},
	}
	l.fields, l.last = managers(u.GetManagedFields())
	l.exception = readException(u)
	if err := l.readFacts(u); err != nil {
		return nil, fmt.Errorf("read %s: %w", identify(u), err)
	}
	return l, nil
}

// ours keeps the labels or annotations that Sluice itself reads.
func ours(all map[string]string) map[string]string {
	var kept map[string]string
	for k, v := range all {
		if strings.HasPrefix(k, domain) || k == labelSliceService {
			if kept == nil {
				kept = make(map[string]string)
			}
			kept[k] = v
		}
	}
	return kept
}

func managers(entries []metav1.ManagedFieldsEntry) (own []byte, last actor) {
	for _, e := range entries {
		if e.Manager == fieldManager && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == "" {
			if e.FieldsV1 != nil {
				own = e.FieldsV1.GetRawBytes()
			}
			continue
		}
		if e.Subresource == "status" || e.Time == nil || e.Time.Time.Before(last.at) {
			continue
		}
		last = actor{manager: e.Manager, at: e.Time.Time}
	}
	return own, last
}

func (l *live) readFacts(u *unstructured.Unstructured) error {
	switch l.identity().groupKind() {
	case kindPod:
		return l.readPod(u)
	case kindEndpointSlice:
		return l.readSlice(u)
	case kindHTTPRoute, kindGRPCRoute:
		return l.readRoute(u)
	case kindService:
		l.selector, _, _ = unstructured.NestedStringMap(u.Object, "spec", "selector")
	case kindDeployment, kindStatefulSet:
		l.replicas = nestedInt(u, "spec", "replicas")
		if n := nestedInt(u, "status", "readyReplicas"); n != nil {
			l.running = *n
		}
	}
	l.status, l.message = computedStatus(u)
	return nil
}

// computedStatus is unknown where it cannot be computed: the object is there, and
// what it says of itself may become readable.
func computedStatus(u *unstructured.Unstructured) (status.Status, string) {
	result, err := status.Compute(u)
	if err != nil {
		return status.UnknownStatus, err.Error()
	}
	return result.Status, result.Message
}

func nestedInt(u *unstructured.Unstructured, path ...string) *int {
	v, found, err := unstructured.NestedInt64(u.Object, path...)
	if err != nil || !found {
		return nil
	}
	n := int(v)
	return &n
}

// convert reads an unstructured value into a typed one.
func convert(from any, to any) error {
	raw, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, to)
}
