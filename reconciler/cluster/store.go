package cluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sluice-cd/sluice/reconciler/release"
)

// MaxDocumentBytes is the largest document that Save accepts. etcd's limit is
// 1.5 MiB; a record near this size has stopped being compacted.
const MaxDocumentBytes = 256 << 10

const (
	documentKey   = "document.json"
	documentPage  = 500 // documents per List request: about 5 MiB of ordinary records
	kindRecord    = "record"
	kindInventory = "inventory"
)

// Errors of the store that a caller branches on.
var (
	ErrNotFound = release.ErrNotFound
	ErrConflict = release.ErrConflict
)

// A TooLargeError refuses a document over MaxDocumentBytes. Nothing was written.
type TooLargeError struct {
	Name  string
	Bytes int
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("save %s: %d bytes is over the limit of %d", e.Name, e.Bytes, MaxDocumentBytes)
}

// A Document is one stored JSON document with the version that a Save has to
// name to replace it.
type Document struct {
	Name    string
	Data    []byte
	Version string
}

// Load reads a document from the API server, never from a cache. The error is
// ErrNotFound when there is none.
func (c *Cluster) Load(ctx context.Context, name string) (data []byte, version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	object, err := c.documents().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, "", fmt.Errorf("load %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return nil, "", fmt.Errorf("load %s: %w", name, err)
	}
	document, err := readDocument(object)
	return document.Data, document.Version, err
}

// Save writes a document if it is still at version; "" means that it must not
// exist. It is durable on return. The error is ErrConflict or ErrNotFound when
// the document is elsewhere, and a *TooLargeError when it is too big. After any
// other error the document may or may not be written: load it.
func (c *Cluster) Save(ctx context.Context, name string, data []byte, version string) (string, error) {
	return c.save(ctx, name, kindRecord, data, version)
}

func (c *Cluster) save(ctx context.Context, name, kind string, data []byte, version string) (string, error) {
	if len(data) > MaxDocumentBytes {
		return "", &TooLargeError{Name: name, Bytes: len(data)}
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	object := c.document(name, kind, data)
	var saved *unstructured.Unstructured
	var err error
	if version == "" {
		saved, err = c.documents().Create(ctx, object, metav1.CreateOptions{FieldManager: fieldManager})
	} else {
		object.SetResourceVersion(version)
		saved, err = c.documents().Update(ctx, object, metav1.UpdateOptions{FieldManager: fieldManager})
	}
	switch {
	case apierrors.IsConflict(err), version == "" && apierrors.IsAlreadyExists(err):
		return "", fmt.Errorf("save %s: %w", name, ErrConflict)
	case version != "" && apierrors.IsNotFound(err):
		return "", fmt.Errorf("save %s: %w", name, ErrNotFound)
	case err != nil:
		return "", fmt.Errorf("save %s: %w", name, err)
	}
	return saved.GetResourceVersion(), nil
}

// List returns all documents that Save has written.
func (c *Cluster) List(ctx context.Context) ([]Document, error) {
	var all []Document
	options := metav1.ListOptions{
		LabelSelector: labelManagedBy + "=" + fieldManager + "," + labelDocument + "=" + kindRecord,
		Limit:         documentPage,
	}
	for {
		page, err := c.listPage(ctx, options)
		if err != nil {
			return nil, fmt.Errorf("list documents: %w", err)
		}
		for i := range page.Items {
			document, err := readDocument(&page.Items[i])
			if err != nil {
				return nil, err
			}
			all = append(all, document)
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return all, nil
		}
	}
}

func (c *Cluster) listPage(ctx context.Context, options metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return c.documents().List(ctx, options)
}

func (c *Cluster) documents() resourceClient {
	return c.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(c.namespace)
}

func (c *Cluster) document(name, kind string, data []byte) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1",
		"kind":       "ConfigMap",
		"data":       map[string]any{documentKey: string(data)},
	}}
	object.SetName(name)
	object.SetNamespace(c.namespace)
	object.SetLabels(map[string]string{labelManagedBy: fieldManager, labelDocument: kind})
	return object
}

func readDocument(object *unstructured.Unstructured) (Document, error) {
	data, found, err := unstructured.NestedString(object.Object, "data", documentKey)
	if err != nil || !found {
		return Document{}, fmt.Errorf("read ConfigMap %s: it has no %s; delete it or restore its content", object.GetName(), documentKey)
	}
	return Document{Name: object.GetName(), Data: []byte(data), Version: object.GetResourceVersion()}, nil
}
