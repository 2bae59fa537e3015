package forgetest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// gitRoutes are GitHub's Git database: what a client needs to commit without git.
func gitRoutes() map[string]handler {
	return map[string]handler{
		"POST /repos/{owner}/{repo}/git/blobs":          (*call).createBlob,
		"POST /repos/{owner}/{repo}/git/trees":          (*call).createTree,
		"POST /repos/{owner}/{repo}/git/commits":        (*call).createCommit,
		"GET /repos/{owner}/{repo}/git/ref/{ref...}":    (*call).ref,
		"POST /repos/{owner}/{repo}/git/refs":           (*call).createRef,
		"PATCH /repos/{owner}/{repo}/git/refs/{ref...}": (*call).updateRef,
	}
}

// writer reads the body of a caller who may write.
func (c *call) writer(into any) error {
	if !c.repo.mayWrite(c.user) {
		return &refusal{code: 403, message: "Resource not accessible by this account"}
	}
	return c.decode(into)
}

func (c *call) createBlob() (int, any, error) {
	var want struct{ Content, Encoding string }
	if err := c.writer(&want); err != nil {
		return 0, nil, err
	}
	content := []byte(want.Content)
	if want.Encoding == "base64" {
		var err error
		if content, err = base64.StdEncoding.DecodeString(want.Content); err != nil {
			return 0, nil, unprocessable("content is not valid Base64")
		}
	}
	sha, err := c.repo.writeBlob(content)
	return http.StatusCreated, object{"sha": sha, "url": c.url("/git/blobs/" + sha)}, err
}

func (c *call) url(path string) string { return c.server.repoURL(c.repo) + path }

func (r *Repository) writeBlob(content []byte) (string, error) {
	return r.git.GitIn(content, nil, "hash-object", "-w", "--stdin")
}

type treeEntry struct {
	Path, Mode, Type string
	SHA, Content     *string
}

func (c *call) createTree() (int, any, error) {
	var want struct {
		Base string      `json:"base_tree"`
		Tree []treeEntry `json:"tree"`
	}
	if err := c.writer(&want); err != nil {
		return 0, nil, err
	}
	sha, err := c.repo.writeTree(want.Base, want.Tree)
	if err != nil {
		return 0, nil, err
	}
	listed, err := c.repo.git.Git("ls-tree", sha)
	if err != nil {
		return 0, nil, err
	}
	shown := []object{}
	for line := range strings.Lines(listed) {
		about, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		fields := strings.Fields(about)
		shown = append(shown, object{"path": name, "mode": fields[0], "type": fields[1], "sha": fields[2], "url": c.url("/git/" + fields[1] + "s/" + fields[2])})
	}
	return http.StatusCreated, object{"sha": sha, "url": c.url("/git/trees/" + sha), "tree": shown, "truncated": false}, nil
}

// writeTree lets git's index put the entries on top of the base.
func (r *Repository) writeTree(base string, entries []treeEntry) (string, error) {
	dir, err := os.MkdirTemp("", "forgetest-index-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	index := []string{"GIT_INDEX_FILE=" + filepath.Join(dir, "index")}
	if base != "" {
		if _, err := r.git.GitIn(nil, index, "read-tree", base); err != nil {
			return "", &refusal{code: 404, message: "Not Found"}
		}
	}
	var lines strings.Builder
	for _, e := range entries {
		line, err := r.indexLine(e)
		if err != nil {
			return "", err
		}
		lines.WriteString(line + "\x00")
	}
	if _, err := r.git.GitIn([]byte(lines.String()), index, "update-index", "-z", "--index-info"); err != nil {
		return "", unprocessable("tree: " + err.Error())
	}
	return r.git.GitIn(nil, index, "write-tree")
}

func (r *Repository) indexLine(e treeEntry) (string, error) {
	switch {
	case e.SHA != nil && e.Content != nil:
		return "", unprocessable("tree.sha and tree.content are both given")
	case e.SHA == nil && e.Content == nil:
		return fmt.Sprintf("0 %s\t%s", zeroSHA, e.Path), nil
	case e.Content != nil:
		sha, err := r.writeBlob([]byte(*e.Content))
		return fmt.Sprintf("%s %s\t%s", e.Mode, sha, e.Path), err
	}
	if _, err := r.git.Git("cat-file", "-e", *e.SHA); err != nil && e.Type != "commit" {
		return "", unprocessable("tree.sha " + *e.SHA + " does not exist")
	}
	return fmt.Sprintf("%s %s\t%s", e.Mode, *e.SHA, e.Path), nil
}

func (c *call) createCommit() (int, any, error) {
	var want struct {
		Message, Tree     string
		Parents           []string
		Author, Committer *struct{ Name, Email string }
	}
	if err := c.writer(&want); err != nil {
		return 0, nil, err
	}
	if want.Author != nil || want.Committer != nil {
		return 0, nil, unprocessable("this fake makes commits for its callers alone")
	}
	args := []string{"commit-tree", want.Tree, "-F", "-"}
	for _, parent := range want.Parents {
		args = append(args, "-p", parent)
	}
	sha, err := c.repo.git.GitIn([]byte(want.Message), identityOf(c.user, c.server.now()), args...)
	if err != nil {
		return 0, nil, unprocessable("Tree SHA or parent does not exist")
	}
	return http.StatusCreated, c.gitCommit(sha, want.Parents, want.Tree, want.Message), nil
}

// identityOf makes git commit as GitHub does: the caller is the author, GitHub
// the committer.
func identityOf(user *User, now time.Time) []string {
	at := fmt.Sprintf("%d +0000", now.Unix())
	return []string{
		"GIT_AUTHOR_NAME=" + user.Login, "GIT_AUTHOR_EMAIL=" + user.email(), "GIT_AUTHOR_DATE=" + at,
		"GIT_COMMITTER_NAME=GitHub", "GIT_COMMITTER_EMAIL=noreply@github.com", "GIT_COMMITTER_DATE=" + at,
	}
}

// gitCommit shows a commit. Only an App's commits are signed by GitHub; the fake
// has no key, so that verification says what GitHub would and git does not.
func (c *call) gitCommit(sha string, parents []string, tree, message string) object {
	_, signed := c.server.appOf(c.user)
	verification := object{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil, "verified_at": nil}
	if signed {
		verification = object{"verified": true, "reason": "valid", "signature": "made by the fake", "payload": message, "verified_at": instant(c.server.now())}
	}
	above := []object{}
	for _, parent := range parents {
		above = append(above, object{"sha": parent, "url": c.url("/git/commits/" + parent), "html_url": c.url("/commit/" + parent)})
	}
	at := instant(c.server.now())
	return object{
		"sha": sha, "node_id": nodeID("Commit", 1), "url": c.url("/git/commits/" + sha), "html_url": c.url("/commit/" + sha),
		"author":    object{"name": c.user.Login, "email": c.user.email(), "date": at},
		"committer": object{"name": "GitHub", "email": "noreply@github.com", "date": at},
		"message":   message, "tree": object{"sha": tree, "url": c.url("/git/trees/" + tree)},
		"parents": above, "verification": verification,
	}
}

func (c *call) ref() (int, any, error) {
	name := "refs/" + c.PathValue("ref")
	sha, err := c.repo.git.SHA(name)
	if err != nil {
		return 0, nil, missing()
	}
	return http.StatusOK, c.shownRef(name, sha), nil
}

func (c *call) shownRef(name, sha string) object {
	return object{
		"ref": name, "node_id": nodeID("Ref", 1), "url": c.url("/git/" + name),
		"object": object{"type": "commit", "sha": sha, "url": c.url("/git/commits/" + sha)},
	}
}

func (c *call) createRef() (int, any, error) {
	var want struct{ Ref, SHA string }
	if err := c.writer(&want); err != nil {
		return 0, nil, err
	}
	branch, ok := strings.CutPrefix(want.Ref, "refs/heads/")
	if !ok {
		return 0, nil, unprocessable("Reference name must start with 'refs/heads/' here")
	}
	err := c.repo.movingUser(c.user, "branch_creation", func(*User) error {
		if _, err := c.repo.git.SHA(want.Ref); err == nil {
			return &refusal{code: 422, message: "Reference already exists"}
		}
		if _, err := c.repo.git.SHA(want.SHA); err != nil {
			return &refusal{code: 422, message: "Object does not exist"}
		}
		if err := c.repo.mayPush(branch); err != nil {
			return err
		}
		return c.repo.git.SetRef(want.Ref, want.SHA)
	})
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, c.shownRef(want.Ref, want.SHA), nil
}

func (c *call) updateRef() (int, any, error) {
	var want struct {
		SHA   string
		Force bool
	}
	if err := c.writer(&want); err != nil {
		return 0, nil, err
	}
	name := "refs/" + c.PathValue("ref")
	err := c.repo.movingUser(c.user, "", func(*User) error {
		was, err := c.repo.git.SHA(name)
		if err != nil {
			return &refusal{code: 422, message: "Reference does not exist"}
		}
		if _, err := c.repo.git.SHA(want.SHA); err != nil {
			return &refusal{code: 422, message: "Object does not exist"}
		}
		if err := c.repo.mayPush(strings.TrimPrefix(name, "refs/heads/")); err != nil {
			return err
		}
		if _, err := c.repo.git.Git("merge-base", "--is-ancestor", was, want.SHA); err != nil && !want.Force {
			return &refusal{code: 422, message: "Update is not a fast forward"}
		}
		return c.repo.git.SetRef(name, want.SHA)
	})
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, c.shownRef(name, want.SHA), nil
}
