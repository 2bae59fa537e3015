package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/sluice-cd/sluice/reconciler/release"
)

// indexRelease is the informers' index by the release label.
const indexRelease = "release"

// ownWritesLast is how long an answer of the API server to our own write
// stands in for a watch event that has not come. Past it the cache is right:
// the object may have come and gone while the watch was down.
const ownWritesLast = 30 * time.Second

// silence is how long a watch may take to begin before its cache counts as
// behind.
const silence = 3 * time.Second

// watches holds one informer for each kind that any release uses, in each
// namespace or for all. Informers are shared by all releases and see only
// objects with the release label.
type watches struct {
	log   *slog.Logger
	wake  func(release.Key)
	added chan struct{} // a hint that kinds has grown

	mu    sync.Mutex // guards the following
	kinds map[scope]*watched
	// own has what our last write to an object answered, until the informer
	// has caught up with it; a nil object is a deletion.
	own map[identity]ownWrite
}

type ownWrite struct {
	object *live
	gone   string // UID of the deleted object
	at     time.Time
}

// A scope is one kind in one namespace, or in all of them for "".
type scope struct {
	kind      schema.GroupKind
	namespace string
}

// watched is one scope.
type watched struct {
	resource resourceClient
	informer cache.SharedIndexInformer
	failure  atomic.Pointer[error] // of the last list or watch request; nil when it worked
	asking   atomic.Int64          // when a request without an answer yet began, in Unix nanoseconds; 0 when there is none
	started  bool                  // owned by Run
}

func newWatches(log *slog.Logger, wake func(release.Key)) *watches {
	return &watches{
		log: log, wake: wake,
		added: make(chan struct{}, 1),
		kinds: map[scope]*watched{},
		own:   map[identity]ownWrite{},
	}
}

// run runs the informers, those of kinds that are added later too, until ctx
// ends.
func (w *watches) run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	// client-go would log each lost watch by itself, ten lines at a time.
	ctx = klog.NewContext(ctx, klog.Logger{})
	for {
		for _, k := range w.all() {
			if !k.started {
				k.started = true
				running.Go(func() { k.informer.RunWithContext(ctx) })
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-w.added:
		}
	}
}

func (w *watches) all() []*watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]*watched, 0, len(w.kinds))
	for _, k := range w.kinds {
		all = append(all, k)
	}
	return all
}

// at is what sees objects of the kind in the namespace; nil when nothing does.
func (w *watches) at(kind schema.GroupKind, namespace string) *watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k := w.kinds[scope{kind, namespace}]; k != nil {
		return k
	}
	return w.kinds[scope{kind, metav1.NamespaceAll}]
}

// add makes sure that there is an informer for the scope.
func (w *watches) add(s scope, resource resourceClient) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.kinds[s] != nil {
		return nil
	}
	k := &watched{resource: resource}
	if err := k.prepare(s.kind, w); err != nil {
		return fmt.Errorf("watch %s: %w", s.kind, err)
	}
	w.kinds[s] = k
	select {
	case w.added <- struct{}{}:
	default:
	}
	return nil
}

func (k *watched) prepare(kind schema.GroupKind, w *watches) error {
	k.informer = cache.NewSharedIndexInformerWithOptions(
		&cache.ListWatch{ListWithContextFunc: k.list, WatchFuncWithContext: k.watch},
		&unstructured.Unstructured{},
		cache.SharedIndexInformerOptions{
			ObjectDescription: kind.String(),
			Indexers:          cache.Indexers{indexRelease: byRelease},
		})
	quiet := func(_ context.Context, _ *cache.Reflector, err error) {
		w.log.Debug("watch ended", "kind", kind.String(), "reason", err)
	}
	_, err := k.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { w.changed(nil, o) },
		UpdateFunc: w.changed,
		DeleteFunc: func(o any) { w.changed(o, nil) },
	})
	return errors.Join(
		err,
		k.informer.SetTransform(transform),
		k.informer.SetWatchErrorHandlerWithContext(quiet))
}

func (k *watched) list(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	options.LabelSelector = labelRelease
	k.asking.Store(time.Now().UnixNano())
	list, err := k.resource.List(ctx, options)
	k.note(err)
	return list, err
}

func (k *watched) watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.LabelSelector = labelRelease
	k.asking.Store(time.Now().UnixNano())
	stream, err := k.resource.Watch(ctx, options)
	k.note(err)
	return stream, err
}

func (k *watched) note(err error) {
	k.asking.Store(0)
	if err == nil {
		k.failure.Store(nil)
		return
	}
	k.failure.Store(&err)
}

// trouble is why the kind's cache may be behind; nil when it is current.
func (k *watched) trouble() error {
	if err := k.failure.Load(); err != nil {
		return *err
	}
	// client-go tries for ten seconds to reach a server that hangs up.
	if began := k.asking.Load(); began != 0 && time.Since(time.Unix(0, began)) > silence {
		return fmt.Errorf("no answer for more than %s", silence)
	}
	return nil
}

func byRelease(o any) ([]string, error) {
	m, err := meta.Accessor(o)
	if err != nil {
		return nil, err
	}
	return []string{m.GetLabels()[labelRelease]}, nil
}

// changed wakes the release of an object that differs in what Sluice reads.
func (w *watches) changed(before, after any) {
	old, now := liveOf(before), liveOf(after)
	w.settle(old, now)
	if w.wake == nil || old != nil && now != nil && old.alike(now) {
		return
	}
	for _, l := range []*live{old, now} {
		if l == nil {
			continue
		}
		if key, ok := releaseOf(l.release()); ok {
			w.wake(key)
		}
		if old != nil && now != nil && old.release() == now.release() {
			return
		}
	}
}

func liveOf(o any) *live {
	if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	l, _ := o.(*live)
	return l
}

// remember keeps the answer to our own write until the informer shows it.
func (w *watches) remember(l *live, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.own[l.identity()] = ownWrite{object: l, at: now}
}

// forget keeps in mind that we deleted the object with this UID.
func (w *watches) forget(l *live, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.own[l.identity()] = ownWrite{gone: string(l.UID), at: now}
}

// settle drops what we remember of our own write once the informer is as new,
// or has seen the object go.
func (w *watches) settle(old, now *live) {
	l := now
	if l == nil {
		l = old
	}
	if l == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	own, ok := w.own[l.identity()]
	if !ok {
		return
	}
	caughtUp := now != nil && own.object != nil && !newer(own.object, now)
	seenGone := now == nil && (string(l.UID) == own.gone || own.object != nil && own.object.UID == l.UID)
	if caughtUp || seenGone {
		delete(w.own, l.identity())
	}
}

// newer reports whether a is a later version of an object than b.
func newer(a, b *live) bool {
	order, err := resourceversion.CompareResourceVersion(a.ResourceVersion, b.ResourceVersion)
	return err == nil && order > 0
}

// of returns all live objects of a release, our own writes included.
func (w *watches) of(label string, now time.Time) (map[identity]*live, error) {
	objects := map[identity]*live{}
	for _, k := range w.all() {
		found, err := k.informer.GetIndexer().ByIndex(indexRelease, label)
		if err != nil {
			return nil, fmt.Errorf("look up %s: %w", label, err)
		}
		for _, o := range found {
			if l := liveOf(o); l != nil {
				objects[l.identity()] = l
			}
		}
	}
	w.overlay(objects, label, now)
	return objects, nil
}

func (w *watches) overlay(objects map[identity]*live, label string, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, own := range w.own {
		if now.Sub(own.at) > ownWritesLast {
			delete(w.own, id)
			continue
		}
		cached := objects[id]
		switch {
		case own.object == nil && cached != nil && string(cached.UID) == own.gone:
			delete(objects, id)
		case own.object != nil && own.object.release() == label && (cached == nil || newer(own.object, cached)):
			objects[id] = own.object
		}
	}
}
