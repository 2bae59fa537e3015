package environments

import (
	"context"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/forge"
)

// Forge is what is asked about pull requests. A fact that is not there and an
// answer that did not come are different errors; see package forge.
type Forge interface {
	Pulls
	Reviews
	Checks
	Builds
	Scans
	People
}

// Pulls finds pull requests.
type Pulls interface {
	// MergedPullRequest fails with forge.ErrNoPullRequest when the forge knows
	// of none that brought the commit to the branch.
	MergedPullRequest(ctx context.Context, commit, base string) (forge.PullRequest, error)
	OpenPullRequests(ctx context.Context, base string) ([]forge.PullRequest, error)
}

// Reviews says who had a hand in a pull request and who reviewed it.
type Reviews interface {
	Reviews(ctx context.Context, number int) ([]forge.Review, error)
	Commits(ctx context.Context, number int) ([]forge.PullRequestCommit, error)
	// LastPushers fails with forge.ErrNoRecord where nobody keeps one, and with
	// forge.ErrPusherUnknown where the record does not tell.
	LastPushers(ctx context.Context, pr forge.PullRequest) ([]forge.User, error)
	// BaseChanges is when a pull request got another base branch, or its base
	// was rewritten. It fails with forge.ErrNoRecord where nobody keeps one.
	BaseChanges(ctx context.Context, number int) ([]time.Time, error)
}

// Checks says what ran on a commit, and whether a branch contains it.
type Checks interface {
	Checks(ctx context.Context, repository, commit string) ([]forge.Check, error)
	// Branch takes "" for the default branch.
	Branch(ctx context.Context, repository, name string) (forge.BranchState, error)
	Contains(ctx context.Context, branch forge.BranchState, commit string) (bool, error)
	ProtectedBranches(ctx context.Context, repository string) ([]forge.BranchState, error)
}

// Scans says what was found in source code. Both fail with forge.ErrNoRecord where
// the forge scans nothing.
type Scans interface {
	// Analyses of the branch, the newest first, down to those of the commit.
	Analyses(ctx context.Context, branch forge.BranchState, commit string) ([]forge.Analysis, error)
	// Alerts that are open on the branch, and those fixed there since an instant.
	Alerts(ctx context.Context, branch forge.BranchState, since time.Time) ([]forge.Alert, error)
}

// Builds says where an artifact was built.
type Builds interface {
	// Home is the address at which people find a repository.
	Home(repository string) string
	// Attestations are kept for the digest in that repository. Nobody has verified
	// them. It fails with forge.ErrNoRecord where the forge keeps none at all.
	Attestations(ctx context.Context, repository, digest string) ([]forge.Attestation, error)
}

// People says what somebody may do.
type People interface {
	// FindTeam fails with forge.ErrNotFound for a team that does not exist or
	// that the forge does not show.
	FindTeam(ctx context.Context, team string) error
	TeamMember(ctx context.Context, team string, user forge.User) (bool, error)
	Permission(ctx context.Context, user forge.User) (forge.Permission, error)
}

// Config says what is read.
type Config struct {
	Mirror *gitsource.Mirror
	Forge  Forge
	// History is nil where the forge has no way to tell.
	History History
	// Name is "owner/name" on the forge, Branch the branch that is followed.
	Name   string
	Branch string
	// Linking is how long after a commit was first asked about the forge may
	// still be about to link it to its pull request; 0 means one minute.
	Linking time.Duration
}

// linking is GitHub's usual delay with a wide margin.
const linking = time.Minute

// A Repository is the environments repository.
type Repository struct {
	git     *gitsource.Mirror
	forge   Forge
	history History
	name    string
	branch  string
	linking time.Duration
	line    *line

	mu sync.Mutex // guards the following
	// rules and files hold what was decoded of immutable commits.
	rules  map[string]Rules
	owners map[string]ownership
	files  map[fileKey]files
	// missing is when a question that found nothing was first asked.
	missing map[string]time.Time
	// brought is the pull requests of source commits.
	brought map[string]brought
}

// New returns a Repository. It reads nothing yet.
func New(cfg Config) *Repository {
	if cfg.Linking == 0 {
		cfg.Linking = linking
	}
	return &Repository{
		git: cfg.Mirror, forge: cfg.Forge, history: cfg.History, name: cfg.Name, branch: cfg.Branch, linking: cfg.Linking,
		line:  &line{git: cfg.Mirror},
		rules: map[string]Rules{}, files: map[fileKey]files{}, missing: map[string]time.Time{},
		owners: map[string]ownership{}, brought: map[string]brought{},
	}
}

// Bounds of the caches. When one is full it is emptied: what is in use comes
// back at once, and there is no order to keep.
const (
	maxRules   = 16
	maxFiles   = 20_000
	maxMissing = 20_000
)

func cached[K comparable, V any](mu *sync.Mutex, cache map[K]V, limit int, key K, read func() (V, error)) (V, error) {
	mu.Lock()
	v, ok := cache[key]
	mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := read()
	if err != nil {
		return v, err
	}
	mu.Lock()
	defer mu.Unlock()
	if len(cache) >= limit {
		clear(cache)
	}
	cache[key] = v
	return v, nil
}

// read is the content of a file in a commit; fs.ErrNotExist when it is not there.
func (r *Repository) read(commit, path string) ([]byte, error) {
	tree, err := r.git.FS(commit)
	if err != nil {
		return nil, err
	}
	data, err := fs.ReadFile(tree, path)
	if err != nil {
		return nil, fmt.Errorf("read %s in %.12s: %w", path, commit, err)
	}
	return data, nil
}
