package cluster

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Marks that other tools leave on what they manage.
const (
	argoTracking  = "argocd.argoproj.io/tracking-id"
	argoInstance  = "argocd.argoproj.io/instance"
	fluxKustomize = "kustomize.toolkit.fluxcd.io/"
	fluxHelm      = "helm.toolkit.fluxcd.io/"
	helmRelease   = "meta.helm.sh/release-name"
	helmNamespace = "meta.helm.sh/release-namespace"
)

// An OwnedError refuses an object that belongs to somebody else. Nothing was
// written to it.
type OwnedError struct {
	Object string // "Service shop/checkout"
	Owner  string // "Argo CD application checkout"
	Remedy string // what releases it
}

func (e *OwnedError) Error() string {
	return fmt.Sprintf("apply %s: it belongs to %s; to hand it over: %s", e.Object, e.Owner, e.Remedy)
}

// Is makes every OwnedError an ErrRefused.
func (e *OwnedError) Is(target error) bool { return target == ErrRefused }

// owner finds who else manages an object; nil when nobody does. label is the
// release that wants it.
func owner(o *unstructured.Unstructured, label string) *OwnedError {
	name, remedy := ownerMarks(o, label)
	if name == "" {
		return nil
	}
	return &OwnedError{Object: identify(o).String(), Owner: name, Remedy: remedy}
}

func ownerMarks(o *unstructured.Unstructured, label string) (name, remedy string) {
	labels, annotations := o.GetLabels(), o.GetAnnotations()
	if other := labels[labelRelease]; other != "" && other != label {
		return "release " + strings.Replace(other, ".", "/", 1),
			"remove it from that release's manifests first, or render it under another name"
	}
	if app := argoApplication(labels, annotations); app != "" {
		return "Argo CD application " + app, fmt.Sprintf("argocd app delete %s --cascade=false && %s",
			app, unmark(o, "annotate", argoTracking)+" && "+unmark(o, "label", argoInstance))
	}
	if name := labels[fluxKustomize+"name"]; name != "" {
		namespace := labels[fluxKustomize+"namespace"]
		return "Flux Kustomization " + namespace + "/" + name, fmt.Sprintf(
			`kubectl -n %s patch kustomization.kustomize.toolkit.fluxcd.io %s --type=merge -p '{"spec":{"prune":false}}' && flux -n %s delete kustomization %s && %s`,
			namespace, name, namespace, name, unmark(o, "label", fluxKustomize+"name", fluxKustomize+"namespace"))
	}
	if name := labels[fluxHelm+"name"]; name != "" {
		namespace := labels[fluxHelm+"namespace"]
		return "Flux HelmRelease " + namespace + "/" + name, fmt.Sprintf(
			"flux -n %s suspend helmrelease %s && kubectl -n %s delete helmrelease %s --cascade=orphan && %s",
			namespace, name, namespace, name, unmark(o, "label", fluxHelm+"name", fluxHelm+"namespace"))
	}
	if name := annotations[helmRelease]; name != "" {
		return "Helm release " + name, fmt.Sprintf("%s helm.sh/resource-policy=keep && helm -n %s uninstall %s && %s",
			kubectl(o, "annotate"), annotations[helmNamespace], name, unmark(o, "annotate", helmRelease, helmNamespace))
	}
	if controller := metav1.GetControllerOf(o); controller != nil {
		return controller.Kind + " " + controller.Name, "delete it or take it out of what that controller creates"
	}
	return "", ""
}

// argoApplication reads the tracking annotation (application:group/kind:…) or
// Argo CD's own label. The label app.kubernetes.io/instance, its older default,
// is set by too many others to mean anything.
func argoApplication(labels, annotations map[string]string) string {
	if id := annotations[argoTracking]; id != "" {
		application, _, _ := strings.Cut(id, ":")
		return application
	}
	return labels[argoInstance]
}

func unmark(o *unstructured.Unstructured, verb string, keys ...string) string {
	return kubectl(o, verb) + " " + strings.Join(keys, "- ") + "-"
}

func kubectl(o *unstructured.Unstructured, verb string) string {
	target := strings.ToLower(o.GetKind())
	if group := o.GroupVersionKind().Group; group != "" {
		target += "." + group
	}
	command := "kubectl "
	if namespace := o.GetNamespace(); namespace != "" {
		command += "-n " + namespace + " "
	}
	return command + verb + " " + target + " " + o.GetName()
}
