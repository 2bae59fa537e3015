package cluster_test

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sluice-cd/sluice/reconciler/cluster"
)

func TestDocumentsAreSavedByCompareAndSwap(t *testing.T) {
	x := newSite(t, gateway())
	ctx := t.Context()
	_, _, err := x.Load(ctx, "production.checkout")
	require.ErrorIs(t, err, cluster.ErrNotFound)
	_, err = x.Save(ctx, "production.checkout", []byte(`{"n":0}`), "1")
	require.ErrorIs(t, err, cluster.ErrNotFound, "a version names a document that exists")

	first, err := x.Save(ctx, "production.checkout", []byte(`{"n":1}`), "")
	require.NoError(t, err)
	_, err = x.Save(ctx, "production.checkout", []byte(`{"n":2}`), "")
	require.ErrorIs(t, err, cluster.ErrConflict, "it must not exist")
	second, err := x.Save(ctx, "production.checkout", []byte(`{"n":2}`), first)
	require.NoError(t, err)
	_, err = x.Save(ctx, "production.checkout", []byte(`{"n":3}`), first)
	require.ErrorIs(t, err, cluster.ErrConflict, "it has moved on")

	data, version, err := x.Load(ctx, "production.checkout")
	require.NoError(t, err)
	assert.JSONEq(t, `{"n":2}`, string(data))
	assert.Equal(t, second, version)
}

func TestListHasTheRecordsAndNothingElse(t *testing.T) {
	x := newSite(t, gateway())
	x.settle(serving(old)) // leaves an inventory
	for _, name := range []string{"production.a", "production.b"} {
		_, err := x.Save(t.Context(), name, []byte(`{}`), "")
		require.NoError(t, err)
	}
	foreign := object(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: other}, data: {a: b}}")
	_, err := x.raw.Resource(resource("configmaps")).Namespace(x.system).Create(t.Context(), foreign, metav1.CreateOptions{})
	require.NoError(t, err)
	documents, err := x.List(t.Context())
	require.NoError(t, err)
	require.Len(t, documents, 2)
	assert.Equal(t, "production.a", documents[0].Name)
	assert.NotEmpty(t, documents[0].Version)
}

func TestADocumentThatIsTooLargeIsNotSaved(t *testing.T) {
	x := newSite(t, gateway())
	_, err := x.Save(t.Context(), "production.checkout", bytes.Repeat([]byte("x"), cluster.MaxDocumentBytes+1), "")
	var large *cluster.TooLargeError
	require.ErrorAs(t, err, &large)
	assert.Equal(t, cluster.MaxDocumentBytes+1, large.Bytes)
	_, _, err = x.Load(t.Context(), "production.checkout")
	assert.ErrorIs(t, err, cluster.ErrNotFound)
	_, err = x.Save(t.Context(), "production.checkout", bytes.Repeat([]byte("x"), cluster.MaxDocumentBytes), "")
	assert.NoError(t, err)
}

func TestASaveWhoseAnswerIsLostIsFoundByLoading(t *testing.T) {
	x := newSite(t, gateway())
	x.wire.disturb(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodPost {
			return nil, nil
		}
		response, err := x.wire.next.RoundTrip(r)
		if err == nil {
			response.Body.Close()
		}
		return nil, errReset
	})
	_, err := x.Save(t.Context(), "production.checkout", []byte(`{"n":1}`), "")
	require.Error(t, err)
	x.wire.disturb(nil)
	data, _, err := x.Load(t.Context(), "production.checkout")
	require.NoError(t, err)
	assert.JSONEq(t, `{"n":1}`, string(data))
}

func TestADocumentWithoutItsKeySaysWhatToDo(t *testing.T) {
	x := newSite(t, gateway())
	broken := object(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: production.checkout}, data: {a: b}}")
	_, err := x.raw.Resource(resource("configmaps")).Namespace(x.system).Create(t.Context(), broken, metav1.CreateOptions{})
	require.NoError(t, err)
	_, _, err = x.Load(t.Context(), "production.checkout")
	assert.ErrorContains(t, err, "read ConfigMap production.checkout: it has no document.json")
}
