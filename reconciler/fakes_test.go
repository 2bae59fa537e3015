package reconciler_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sluice-cd/sluice/analysis"
	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/intake"
	"github.com/sluice-cd/sluice/reconciler/meter"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/reconciler/render"
	"github.com/sluice-cd/sluice/schemas"
)

var checkout = release.Key{Environment: "production", Service: "checkout"}

// errFault is what a disturbed call answers.
var errFault = errors.New("injected fault")

// A call is one call of a port, counted over the life of a world.
type call struct {
	port string // "Store.Save"
	n    int    // the n-th of all, from 1
	of   int    // the n-th of this port
	// effect: it would change something.
	effect bool
}

// A world is everything outside of the loop. It keeps its state in memory and
// fails the test when the loop breaks a contract.
type world struct {
	t testing.TB

	calls  int
	byPort map[string]int
	// fault says whether a call takes effect and what it answers; nil: all do.
	fault func(call) (apply bool, err error)
	// turns is set where several workers call: one call at a time.
	turns chan struct{}
	// readOnly fails the test on every write.
	readOnly bool

	store reconciler.Store // nil for the documents here
	docs  map[string]document
	saves int
	// hidden is a document that cannot be loaded.
	hidden string
	// decoded is the newest record of each key, so that checks stay cheap.
	decoded map[release.Key]decoded
	mark    string // of the repository's record in its version marked
	marked  int

	daemon  *reconciler.Reconciler
	crashed bool               // the daemon ends after this pass
	kill    context.CancelFunc // ends what the daemon is doing

	policy   schemas.Policy
	services map[string]schemas.Service
	noRules  error // why no policy can be read
	commits  []commit
	polls    int
	// rewritten freezes the reading; readable is how many commits can be read
	// before an error, 0 for all.
	rewritten string
	readable  int
	gitAway   error

	forgeAway string
	numbered  bool   // each commit is the merge of the pull request with its number
	ends      string // the commit that ends every pull request, "" for their own
	// forgeHangs answers only once nobody listens any more.
	forgeHangs bool
	// asks lists what the gates were asked about.
	asks      []environments.Candidate
	proposals []environments.Proposal
	statuses  []string
	comments  map[int]string
	edits     int // of comments

	// brings lists by inputs the artifacts whose sources theirs contains.
	brings   map[string][]string
	hotfixes map[string]bool // inputs whose release file says that they are one

	salt   string // what another version of the renderer would do differently
	builds int

	live map[release.Key]runs
	// byHand is what runs under names that its authors gave it, by inputs.
	byHand     map[release.Key]string
	sick       map[string]bool // revisions whose pods crash
	clusterErr error
	achievable float64 // share that replicas give
	changes    int     // how often Converge changed something
	hang       map[release.Key]bool

	badRates  map[string]float64 // error rate by inputs
	meterDown bool
	noPast    bool // nothing was counted before a rollout

	evidence map[string]string
	order    []string // evidence ids as they came
}

type decoded struct {
	version int
	record  release.Record
}

type document struct {
	data    []byte
	version int
}

// A commit is one step of the followed branch.
type commit struct {
	sha      string
	releases map[string]intake.Snapshot
	rules    *environments.Rules // set where the commit changes the policy
}

// A runs is what runs of one release.
type runs struct {
	State release.State
	Place release.Place
	Since time.Time
	Hash  map[string]string // manifest by revision, as it was applied
}

func newWorld(t testing.TB) *world {
	w := &world{
		t: t, byPort: map[string]int{}, decoded: map[release.Key]decoded{}, docs: map[string]document{}, live: map[release.Key]runs{},
		sick: map[string]bool{}, hotfixes: map[string]bool{}, badRates: map[string]float64{}, evidence: map[string]string{}, hang: map[release.Key]bool{},
		byHand: map[release.Key]string{}, brings: map[string][]string{}, comments: map[int]string{},
	}
	production := schemas.Environment{
		Name: "production", Namespace: "{service}-{environment}", Provenance: &schemas.Provenance{Attestation: true},
		Rollout: schemas.Rollout{Steps: []int{25, 50, 100}, Interval: schemas.Duration(9 * time.Second), Deadline: schemas.Duration(10 * time.Minute)},
		Rollback: schemas.Rollback{
			ErrorRateIncreasePoints: 0.5, HealthCheckFailures: 2, MaxErrorRate: 1, Window: schemas.Duration(5 * time.Second), OnReject: "revert",
		},
	}
	w.policy = schemas.Policy{Environments: []schemas.Environment{production}}
	w.services = map[string]schemas.Service{"checkout": service("checkout")}
	return w
}

func service(name string) schemas.Service {
	return schemas.Service{
		Name:    name,
		Traffic: schemas.Traffic{Kind: schemas.TrafficGateway, Route: name, Service: name},
		Metrics: schemas.Metrics{Prometheus: "main", Errors: &schemas.ErrorMetric{Preset: "http"}},
	}
}

// call counts a call and says whether it takes effect.
func (w *world) call(ctx context.Context, port string, effect bool) (bool, error) {
	w.calls++
	w.byPort[port]++
	if effect && w.readOnly {
		w.t.Errorf("%s writes, and nothing may be written", port)
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if w.fault != nil {
		return w.fault(call{port, w.calls, w.byPort[port], effect})
	}
	return true, nil
}

// turn does something while no worker does.
func (w *world) turn(do func()) {
	if w.turns != nil {
		w.turns <- struct{}{}
		defer func() { <-w.turns }()
	}
	do()
}

// enter is turn for a method, which defers what it returns.
func (w *world) enter() (leave func()) {
	if w.turns == nil {
		return func() {}
	}
	w.turns <- struct{}{}
	return func() { <-w.turns }
}

// start makes a daemon over the world, as a restart would.
func (w *world) start(change ...func(*reconciler.Config)) *reconciler.Reconciler {
	w.t.Helper()
	cfg := reconciler.Config{
		Store: w, Source: w, Releases: w, Facts: w, Renderer: w, Cluster: w, Meter: w, Committer: w, Ledger: w, Announcer: w,
		Genesis: "c0", Poll: 30 * time.Second, Log: slog.New(slog.DiscardHandler),
	}
	if w.store != nil {
		cfg.Store = w.store
	}
	for _, c := range change {
		c(&cfg)
	}
	return reconciler.New(cfg)
}

// push puts a commit on the branch that asks for inputs of releases.
func (w *world) push(inputs map[string]string) string {
	snapshots := map[string]intake.Snapshot{}
	for name, in := range inputs {
		s := w.asked(name)
		s.Inputs = in
		snapshots[name] = s
	}
	return w.commit(snapshots)
}

func (w *world) commit(snapshots map[string]intake.Snapshot) string {
	sha := "c" + strconv.Itoa(len(w.commits))
	w.commits = append(w.commits, commit{sha: sha, releases: snapshots})
	return sha
}

// asked is what the tip asks for of a release.
func (w *world) asked(name string) intake.Snapshot { return w.askedAt(name, len(w.commits)-1) }

func (w *world) askedAt(name string, at int) intake.Snapshot {
	for i := at; i >= 0; i-- {
		if s, ok := w.commits[i].releases[name]; ok {
			return s
		}
	}
	return intake.Snapshot{}
}

// record is what the store holds of a release.
func (w *world) record(key release.Key) release.Record {
	doc, ok := w.docs[key.Environment+"."+key.Service]
	if !ok {
		return release.Record{}
	}
	if known := w.decoded[key]; known.version == doc.version {
		return known.record
	}
	r, err := release.Decode(doc.data)
	require.NoError(w.t, err)
	w.decoded[key] = decoded{doc.version, r}
	return r
}

// Load and Save make the world a Store.
func (w *world) Load(ctx context.Context, name string) ([]byte, string, error) {
	defer w.enter()()
	if _, err := w.call(ctx, "Store.Load", false); err != nil {
		return nil, "", err
	}
	if name == w.hidden {
		return nil, "", errFault
	}
	doc, ok := w.docs[name]
	if !ok {
		return nil, "", release.ErrNotFound
	}
	return doc.data, strconv.Itoa(doc.version), nil
}

func (w *world) Save(ctx context.Context, name string, data []byte, version string) (string, error) {
	defer w.enter()()
	apply, err := w.call(ctx, "Store.Save", true)
	if !apply {
		return "", err
	}
	doc, ok := w.docs[name]
	if ok != (version != "") || ok && strconv.Itoa(doc.version) != version {
		return "", release.ErrConflict
	}
	w.saves++
	w.docs[name] = document{slices.Clone(data), doc.version + 1}
	if err != nil {
		return "", err
	}
	return strconv.Itoa(doc.version + 1), nil
}

// Begin and Poll make it a Source.
func (w *world) Begin(ctx context.Context, genesis string) (intake.Repository, error) {
	defer w.enter()()
	if _, err := w.call(ctx, "Source.Begin", false); err != nil {
		return intake.Repository{}, err
	}
	return intake.Begin(genesis, time.Now().UTC(), w.commits[w.index(genesis)].releases), w.gitAway
}

func (w *world) index(sha string) int {
	i := slices.IndexFunc(w.commits, func(c commit) bool { return c.sha == sha })
	require.GreaterOrEqual(w.t, i, 0, "commit %s", sha)
	return i
}

func (w *world) Poll(ctx context.Context, r intake.Repository, now time.Time) (intake.Repository, error) {
	defer w.enter()()
	w.polls++
	if _, err := w.call(ctx, "Source.Poll", false); err != nil {
		return r, err
	}
	if w.gitAway != nil {
		return r, w.gitAway
	}
	if w.rewritten != "" {
		return intake.Freeze(r, w.rewritten), nil
	}
	if r.Frozen != "" {
		return r, nil
	}
	for i := w.index(r.Mark) + 1; i < len(w.commits); i++ {
		if w.readable > 0 && i >= w.readable {
			return r, errFault
		}
		var err error
		step := intake.Step{
			From: r.Mark, Commit: w.commits[i].sha, At: now.UTC(), Releases: w.commits[i].releases,
			Control: &intake.Decision{Accepted: true},
		}
		if w.commits[i].rules != nil {
			step.Policy = &intake.Decision{Accepted: true}
		}
		r, err = intake.Fold(r, step)
		require.NoError(w.t, err)
	}
	return r, nil
}

// Rules, Want and Manifests make it Releases.
func (w *world) Rules(commit string) (environments.Rules, error) {
	defer w.enter()()
	if i := w.index(commit); w.commits[i].rules != nil {
		return *w.commits[i].rules, w.noRules
	}
	return environments.Rules{Commit: commit, Policy: w.policy, Services: w.services}, w.noRules
}

// govern puts a commit on the branch that changes the policy.
func (w *world) govern(change func(*environments.Rules)) {
	rules := environments.Rules{Policy: w.policy, Services: maps.Clone(w.services), Broken: map[string]string{}}
	rules.Policy.Environments = slices.Clone(w.policy.Environments)
	change(&rules)
	sha := w.commit(nil)
	rules.Commit = sha
	w.commits[len(w.commits)-1].rules = &rules
}

func (w *world) Want(_ environments.Rules, key release.Key, of intake.Release) (release.Want, error) {
	return release.Want{
		Revision:  revision(of.Inputs, of.Commit),
		Promotion: release.Promotion{Commit: of.Commit, At: of.At, Genesis: of.Genesis},
	}, nil
}

func revision(inputs, commit string) release.Revision {
	return release.Revision{
		ID: "r" + inputs, Inputs: inputs, Commit: commit, Base: commit, BaseTree: "tree", Version: inputs,
		Artifacts: []release.Artifact{{Image: "registry.example.com/checkout", Digest: digest(inputs)}},
	}
}

// parts reads inputs such as "v1~2+5": the artifact, its shared objects, its scale.
func parts(inputs string) (artifact, shared, scale string) {
	artifact, scale, _ = strings.Cut(inputs, "+")
	artifact, shared, _ = strings.Cut(artifact, "~")
	return artifact, shared, scale
}

func digest(inputs string) string {
	artifact, _, _ := parts(inputs)
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(artifact)))
}

func (w *world) Manifests(key release.Key, r release.Revision, namespace string) (render.Input, error) {
	return render.Input{
		Release: key.String(), Service: key.Service, FilesID: r.Inputs, Revision: r.ID,
		Namespace: namespace,
	}, nil
}

// Facts and Proposals make it Facts: everything is as it should be unless the
// forge is away.
func (w *world) Facts(ctx context.Context, rules environments.Rules, c environments.Candidate, _ time.Time) (gate.Facts, error) {
	defer w.enter()()
	if _, err := w.call(ctx, "Facts.Facts", false); err != nil {
		return gate.Facts{}, err
	}
	if w.asks = append(w.asks, c); w.forgeHangs {
		<-ctx.Done()
		return gate.Facts{}, ctx.Err()
	}
	environment, _ := rules.Policy.Environment(c.Key.Environment)
	facts := gate.Facts{
		Environment: environment, First: rules.First(c.Key.Environment), Merged: c.PullRequest == nil, Retired: c.Retired,
		Inputs: c.Want.Revision.Inputs, Revision: c.Want.Revision.ID, BaseTree: "tree",
		Artifacts: []gate.Artifact{{Image: "registry.example.com/checkout", Digest: digest(c.Want.Revision.Inputs), Repository: "acme/checkout", SourceCommit: "source-" + c.Want.Revision.Inputs}},
	}
	facts.Origins = []gate.Origin{attested(facts.Artifacts[0])}
	if facts.Class = schemas.ChangeStandard; w.hotfixes[facts.Inputs] {
		facts.Class, facts.Incident = schemas.ChangeHotfix, "INC-7"
	}
	if !facts.First && w.forgeAway == "" {
		facts.Repository, facts.Branch, facts.Changes = "acme/environments", "main", []gate.Change{reviewed(c.Want.Promotion.Commit)}
	}
	if w.numbered && c.PullRequest == nil {
		change := reviewed(c.Want.Promotion.Commit)
		change.PullRequest.Number = w.index(c.Want.Promotion.Commit)
		facts.Changes = []gate.Change{change}
	}
	if w.ends != "" {
		facts.Changes = []gate.Change{{Commit: w.ends, Content: gate.Answer{Yes: true}}}
	}
	if w.forgeAway != "" {
		facts.Environment.Approvals.Standard = 1
		for _, change := range c.Changes {
			facts.Changes = append(facts.Changes, gate.Change{Commit: change.Commit, Unknown: w.forgeAway})
		}
	}
	return facts, nil
}

// reviewed is a change that nothing speaks against.
func reviewed(commit string) gate.Change {
	return gate.Change{
		Commit: commit, Content: gate.Answer{Yes: true},
		PullRequest: &forge.PullRequest{
			Number: 1, Merged: true, MergedAt: time.Now(), MergeCommit: commit, Head: forge.Branch{Commit: "head"},
			Base: forge.Branch{Repository: "acme/environments", Name: "main"},
		},
		Reviews: []forge.Review{{
			ID: 1, User: forge.User{ID: 11, Login: "rita", Kind: "User"}, State: forge.Approved, Commit: "head", SubmittedAt: time.Now().Add(-time.Minute),
		}},
		Commits: []forge.PullRequestCommit{{Commit: "head"}}, Writers: map[int64]bool{11: true}, BaseRecord: gate.RecordTold,
	}
}

// attested is an artifact that its own source repository vouches for.
func attested(a gate.Artifact) gate.Origin {
	home := "forge.example/" + a.Repository
	return gate.Origin{
		Digest: a.Digest, Repository: a.Repository, Commit: a.SourceCommit, Home: home, Contained: gate.Answer{Yes: true},
		Statements: []gate.Statement{{Digests: []string{a.Digest}, Repository: home, Commit: a.SourceCommit}},
	}
}

// Backfilled goes by what the test says that sources contain.
func (w *world) Backfilled(ctx context.Context, promoted, owed []release.Source) gate.Answer {
	defer w.enter()()
	if _, err := w.call(ctx, "Facts.Backfilled", false); err != nil {
		return gate.Answer{Unknown: err.Error()}
	}
	if w.forgeAway != "" {
		return gate.Answer{Unknown: w.forgeAway}
	}
	contained := w.brings[strings.TrimPrefix(promoted[0].Commit, "source-")]
	if !slices.Contains(contained, strings.TrimPrefix(owed[0].Commit, "source-")) {
		return gate.Answer{Reason: "it is not in it"}
	}
	return gate.Answer{Yes: true}
}

func (w *world) Proposals(ctx context.Context, _ environments.Rules) ([]environments.Proposal, error) {
	defer w.enter()()
	_, err := w.call(ctx, "Facts.Proposals", false)
	return w.proposals, err
}

// Build makes it a Renderer. Inputs that begin with "unpinned" have an image
// without a digest.
func (w *world) Build(ctx context.Context, in render.Input) (render.Output, error) {
	defer w.enter()()
	if _, err := w.call(ctx, "Renderer.Build", false); err != nil {
		return render.Output{}, err
	}
	w.builds++
	deployment := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": map[string]any{"name": in.Service + "-" + in.Revision, "namespace": in.Namespace},
	}}
	workload, shared, scale := parts(in.FilesID)
	deployment.Object["spec"] = map[string]any{"content": workload}
	policy := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
		"metadata": map[string]any{"name": in.Service}, "spec": map[string]any{"content": shared},
	}}
	out := render.Output{
		Workload: []*unstructured.Unstructured{deployment}, Shared: []*unstructured.Unstructured{policy}, WorkloadHash: workload + w.salt,
		ManifestHash: strings.Join([]string{in.Revision, workload, shared, scale, in.Namespace, w.salt}, "/"),
	}
	out.Report.Images = []render.Image{{Object: "Deployment/" + in.Service, Container: "app", Image: "x", Pinned: !strings.HasPrefix(in.FilesID, "unpinned")}}
	return out, nil
}

// Converge and Observe make it a Cluster.
func (w *world) Converge(ctx context.Context, key release.Key, state release.State, manifests map[string]render.Output, place release.Place) error {
	if w.hung(key) {
		<-ctx.Done()
		return ctx.Err()
	}
	defer w.enter()()
	hashes := map[string]string{}
	for id, m := range manifests {
		hashes[id] = m.ManifestHash
	}
	was, known := w.live[key]
	for _, id := range state.AsIs {
		hashes[id] = was.Hash[id]
	}
	next := runs{State: state, Place: place, Since: time.Now(), Hash: hashes}
	changed := !known || !same(was, next)
	apply, err := w.call(ctx, "Cluster.Converge", changed)
	if err == nil {
		err = w.clusterErr
	}
	if !apply || w.clusterErr != nil {
		return err
	}
	w.allowed(key, state, hashes)
	if w.byHand[key] != "" && !state.Rehome {
		w.t.Errorf("%s: applied beside what runs under its authors' names", key)
	}
	if stable := state.Traffic.Stable; state.Rehome && !w.sick[stable] && w.status(was, stable).Readiness == release.Ready {
		delete(w.byHand, key)
	}
	if changed {
		w.changes++
		w.live[key] = next
	}
	return err
}

func (w *world) hung(key release.Key) bool {
	defer w.enter()()
	return w.hang[key]
}

// older is the same, as if it had been there for longer.
func (r runs) older(by time.Duration) runs {
	r.Since = r.Since.Add(-by)
	return r
}

func same(a, b runs) bool {
	a.Since, b.Since = time.Time{}, time.Time{}
	a.State.AsIs, b.State.AsIs = nil, nil
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// allowed checks that only what was decided and saved is applied.
func (w *world) allowed(key release.Key, state release.State, hashes map[string]string) {
	r := w.record(key)
	if key.Environment == "" || r.Schema == 0 {
		w.t.Errorf("%s: applied without a record", key)
		return
	}
	plain := state
	plain.AsIs = nil
	assert.Equal(w.t, release.Desired(r), plain, "%s: what is applied was never saved", key)
	for _, workload := range state.Workloads {
		switch {
		case r.Stable != nil && workload.Revision == r.Stable.ID:
			continue
		case r.Candidate == nil || workload.Revision != r.Candidate.Revision.ID:
			w.t.Errorf("%s: revision %s is neither stable nor the candidate", key, workload.Revision)
		case r.Decision == "" && !r.Candidate.Promotion.Genesis:
			w.t.Errorf("%s: revision %s is applied without a decision", key, workload.Revision)
		case r.Phase == release.Preparing && hashes[workload.Revision] != r.Candidate.Revision.Manifest:
			w.t.Errorf("%s: revision %s is applied and is not what was judged", key, workload.Revision)
		}
	}
	if weight := state.Traffic.Weight; weight > 0 && weight > r.Rollout.Plan.Steps[r.Rollout.Step] {
		w.t.Errorf("%s: weight %d is above step %d", key, weight, r.Rollout.Step)
	}
}

// readyAfter is how long a workload takes.
const readyAfter = 3 * time.Second

// Compare finds what was put there by hand.
func (w *world) Compare(ctx context.Context, key release.Key, plain render.Output) (bool, string, error) {
	defer w.enter()()
	if _, err := w.call(ctx, "Cluster.Compare", false); err != nil {
		return false, "", err
	}
	inputs := w.byHand[key]
	if w.clusterErr != nil || inputs == "" {
		return false, "", w.clusterErr
	}
	if git := strings.TrimSuffix(plain.WorkloadHash, w.salt); git != inputs {
		return true, fmt.Sprintf("the inputs are %s and git says %s", inputs, git), nil
	}
	return true, "", nil
}

func (w *world) Observe(ctx context.Context, key release.Key, state release.State, _ map[string]render.Output, place release.Place) (release.Observed, error) {
	defer w.enter()()
	if _, err := w.call(ctx, "Cluster.Observe", false); err != nil {
		return release.Observed{}, err
	}
	if w.clusterErr != nil {
		return release.Observed{}, w.clusterErr
	}
	if state.Observed {
		return release.Observed{At: time.Now().UTC(), Converged: true, Route: release.RouteStatus{Accepted: true}}, nil
	}
	live := w.live[key]
	plain := live.State
	plain.AsIs, state.AsIs = nil, nil
	o := release.Observed{At: time.Now().UTC(), Revisions: map[string]release.RevisionStatus{}}
	for _, workload := range live.State.Workloads {
		o.Revisions[workload.Revision] = w.status(live, workload.Revision)
	}
	a, _ := json.Marshal(plain)
	b, _ := json.Marshal(state)
	o.Converged = string(a) == string(b)
	if state.Rehome && w.byHand[key] != "" {
		o.Converged, o.Rehoming = false, "what was adopted still serves"
	}
	o.Route = release.RouteStatus{Accepted: true, Candidate: live.State.Traffic.Candidate, Weight: live.State.Traffic.Weight, Achievable: w.achievable}
	return o, nil
}

func (w *world) status(live runs, id string) release.RevisionStatus {
	pod := analysis.Pod{Name: "checkout-" + id + "-x", Life: analysis.Life{Started: live.Since}}
	s := release.RevisionStatus{Readiness: release.InProgress, Replicas: 1}
	if !time.Now().Before(live.Since.Add(readyAfter)) {
		pod.Ready, pod.BeenReady, pod.Life.Ready = true, true, live.Since.Add(readyAfter)
		s.Readiness, s.Endpoints = release.Ready, 1
	}
	pod.CrashLoop = w.sick[id]
	s.Pods = []analysis.Pod{pod}
	return s
}

// tick is as long as the shortest that a step of nine seconds is judged by.
const tick = 3 * time.Second

// Ticks and Dispersion make it a Meter: 100 requests per second.
func (w *world) Ticks(ctx context.Context, q meter.Question, now time.Time) (meter.Reading, error) {
	defer w.enter()()
	if _, err := w.call(ctx, "Meter.Ticks", false); err != nil {
		return meter.Reading{}, err
	}
	pace := analysis.Pace{Interval: tick}
	var out meter.Reading
	for last := q.Last; ; {
		from, to, due := pace.Next(last, q.StepBegan, now)
		if !due {
			return out, nil
		}
		if w.meterDown {
			out.Ticks = append(out.Ticks, analysis.UnknownTick(from, to, q.Situation, analysis.TimedOut))
			out.Trouble = errors.New("no answer in 10 s")
			return out, nil
		}
		if q.BeforeAfter {
			out.Ticks = append(out.Ticks, w.beforeAfter(q, to))
			last = to
			continue
		}
		n := int64(300 * q.Situation.Weight)
		inputs := strings.TrimSuffix(strings.TrimPrefix(q.Candidate, "checkout-r"), "-")
		out.Ticks = append(out.Ticks, analysis.Tick{
			At: to.UTC(), Seconds: tick.Seconds(), Step: q.Situation.Step, Weight: q.Situation.Weight, Steered: q.Situation.Steered, Up: q.Situation.Up,
			Stable:    analysis.Arm{Requests: 300 - n, Errors: (300 - n) / 100},
			Candidate: analysis.Arm{Requests: n, Errors: n/100 + int64(float64(n)*w.badRates[inputs])},
		})
		last = to
	}
}

// beforeAfter counts stable under the shared objects of the candidate: "~2" in
// badRates is how much worse it then is, above 1 that nothing arrives any more.
func (w *world) beforeAfter(q meter.Question, to time.Time) analysis.Tick {
	_, shared, _ := parts(w.record(checkout).Candidate.Revision.Inputs)
	rate := w.badRates["~"+shared]
	after := analysis.Arm{Requests: 300, Errors: 3 + int64(300*rate)}
	if rate > 1 {
		after = analysis.Arm{}
	}
	return analysis.Tick{
		At: to.UTC(), Seconds: tick.Seconds(), Weight: q.Situation.Weight, Steered: q.Situation.Steered, Up: q.Situation.Up,
		Stable: analysis.Arm{Requests: 300, Errors: 3, Silent: w.noPast}, Candidate: after,
	}
}

func (w *world) Dispersion(ctx context.Context, _ meter.Question) (analysis.Dispersion, error) {
	defer w.enter()()
	_, err := w.call(ctx, "Meter.Dispersion", false)
	return analysis.Dispersion{Phi: 1, DF: 100, Source: "stable"}, err
}

// Commit makes it a Committer.
func (w *world) Commit(ctx context.Context, key release.Key, c release.Commit) (string, error) {
	defer w.enter()()
	name := key.String()
	tip := w.asked(name)
	next := tip
	if tip.Inputs == c.Bad.Revision.Inputs && c.Good != "" {
		next.Inputs = w.askedAt(name, w.index(c.Good)).Inputs
	}
	if c.Hold != nil && !slices.ContainsFunc(tip.Control.Holds, func(h intake.Hold) bool { return h.Rollback == c.Hold.ID }) {
		next.Control.Holds = append(slices.Clone(tip.Control.Holds), intake.Hold{
			Rollback: c.Hold.ID, Digest: digest(c.Bad.Revision.Inputs), Revision: c.Bad.Revision.ID, Reason: c.Hold.Reason,
		})
	}
	changed := next.Inputs != tip.Inputs || len(next.Control.Holds) != len(tip.Control.Holds)
	apply, err := w.call(ctx, "Committer.Commit", changed)
	if !apply {
		return "", err
	}
	w.owed(key, func(i release.Intent) bool { return i.Commit != nil && i.Commit.Bad.Revision.ID == c.Bad.Revision.ID })
	if !changed {
		return "", err
	}
	return w.commit(map[string]intake.Snapshot{name: next}), err
}

// owed checks that an effect was saved as an intent before it was done.
func (w *world) owed(key release.Key, is func(release.Intent) bool) {
	if !slices.ContainsFunc(release.Owed(w.record(key)), is) {
		w.t.Errorf("%s: done without having been owed and saved", key)
	}
}

// Append makes it a Ledger.
func (w *world) Append(ctx context.Context, id string, e release.Evidence) error {
	defer w.enter()()
	data, err := json.Marshal(e)
	require.NoError(w.t, err)
	known, ok := w.evidence[id]
	apply, err := w.call(ctx, "Ledger.Append", !ok)
	if !apply {
		return err
	}
	key, bad := release.ParseKey(e.Release)
	require.NoError(w.t, bad)
	w.owed(key, func(i release.Intent) bool { return i.ID == id })
	if ok && known != string(data) {
		w.t.Errorf("evidence %s has two contents", id)
	}
	if !ok {
		w.evidence[id] = string(data)
		w.order = append(w.order, id)
	}
	return err
}

// Report and Comment make it an Announcer.
func (w *world) Report(ctx context.Context, commit string, r forge.Report) error {
	defer w.enter()()
	apply, err := w.call(ctx, "Announcer.Report", true)
	if apply {
		w.statuses = append(w.statuses, fmt.Sprintf("%s %s %s: %s", commit, r.Context, r.State, r.Description))
	}
	return err
}

func (w *world) Comment(ctx context.Context, number int, c forge.Comment) error {
	defer w.enter()()
	apply, err := w.call(ctx, "Announcer.Comment", true)
	if apply && (!c.Keep || w.comments[number] != "") {
		if w.comments[number] == c.Body {
			return err // it looks first
		}
		w.comments[number], w.edits = c.Body, w.edits+1
	}
	return err
}
