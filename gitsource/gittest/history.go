package gittest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// ErrConflict is returned when branches cannot be merged without a person.
var ErrConflict = errors.New("merge conflict")

// Author is who Commit and Merge write for when no author is named.
const Author = "Test <test@example.com>"

// isolation keeps the machine's and the user's git configuration out.
func isolation() []string {
	return []string{"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0"}
}

// Git runs a git command in the bare repository and returns its trimmed output.
func (s *Server) Git(args ...string) (string, error) {
	return s.git(s.Dir, nil, nil, args...)
}

// GitIn is Git with standard input and additional environment variables.
func (s *Server) GitIn(stdin []byte, env []string, args ...string) (string, error) {
	return s.git(s.Dir, stdin, env, args...)
}

func (s *Server) git(dir string, stdin []byte, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(context.Background(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), isolation()...), env...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return strings.TrimSpace(string(out)), fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// File is one entry of CommitFiles with its mode.
type File struct {
	// Mode is git's: "100644" (also when empty), "100755", "120000" for a
	// symlink whose target is Content, "160000" for a submodule at the commit
	// named by Content.
	Mode    string
	Content string
	// Delete removes the path instead.
	Delete bool
}

// Commit writes the files on top of the branch, which it creates when it does
// not exist, and returns the new SHA. Author reads "Name <mail>"; empty means
// the constant Author.
func (s *Server) Commit(branch, message, author string, files map[string]string) (string, error) {
	entries := make(map[string]File, len(files))
	for path, content := range files {
		entries[path] = File{Content: content}
	}
	return s.CommitFiles(branch, message, author, entries)
}

// CommitFiles is Commit with modes and deletions.
func (s *Server) CommitFiles(branch, message, author string, files map[string]File) (string, error) {
	ref := "refs/heads/" + branch
	var in bytes.Buffer
	who := fmt.Sprintf("%s %d +0000", orAuthor(author), s.tick().Unix())
	fmt.Fprintf(&in, "commit %s\nmark :1\nauthor %s\ncommitter %s\n", ref, who, who)
	fmt.Fprintf(&in, "data %d\n%s\n", len(message), message)
	if tip, err := s.SHA(ref); err == nil {
		fmt.Fprintf(&in, "from %s\n", tip)
	}
	paths := make([]string, 0, len(files))
	for path := range files {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths {
		writeEntry(&in, path, files[path])
	}
	in.WriteString("get-mark :1\n")
	return s.git(s.Dir, in.Bytes(), nil, "fast-import", "--quiet")
}

func writeEntry(in *bytes.Buffer, path string, f File) {
	mode := f.Mode
	if mode == "" {
		mode = "100644"
	}
	switch {
	case f.Delete:
		fmt.Fprintf(in, "D %s\n", quotePath(path))
	case mode == "160000":
		fmt.Fprintf(in, "M %s %s %s\n", mode, f.Content, quotePath(path))
	default:
		fmt.Fprintf(in, "M %s inline %s\ndata %d\n%s\n", mode, quotePath(path), len(f.Content), f.Content)
	}
}

// quotePath writes a path as fast-import wants it: always quoted, with octal
// escapes for everything that is not plain.
func quotePath(path string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(path) {
		if c := path[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			fmt.Fprintf(&b, `\%03o`, c)
		} else {
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func orAuthor(author string) string {
	if author == "" {
		return Author
	}
	return author
}

// SHA resolves a reference, branch or revision of the repository.
func (s *Server) SHA(rev string) (string, error) {
	// A full name usually is a file, which saves a process.
	if data, err := os.ReadFile(filepath.Join(s.Dir, filepath.FromSlash(rev))); err == nil && strings.HasPrefix(rev, "refs/") && len(data) == 41 {
		return string(data[:40]), nil
	}
	return s.Git("rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
}

// Branch creates the branch at a revision, or moves it there without asking
// whether history is lost: a force push.
func (s *Server) Branch(name, rev string) error {
	return s.SetRef("refs/heads/"+name, rev)
}

// DeleteBranch removes a branch.
func (s *Server) DeleteBranch(name string) error {
	_, err := s.Git("update-ref", "-d", "refs/heads/"+name)
	return err
}

// SetRef creates or moves any reference, such as refs/pull/7/head.
func (s *Server) SetRef(ref, rev string) error {
	sha, err := s.SHA(rev)
	if err != nil {
		return err
	}
	_, err = s.Git("update-ref", ref, sha)
	return err
}

// Empty removes every reference: the repository looks newly created.
func (s *Server) Empty() error {
	refs, err := s.Git("for-each-ref", "--format=delete %(refname)")
	if err != nil {
		return err
	}
	_, err = s.git(s.Dir, []byte(refs+"\n"), nil, "update-ref", "--stdin")
	return err
}

// Method is how a pull request is merged.
type Method string

// The ways in which the forges merge.
const (
	MergeCommit Method = "merge"
	Squash      Method = "squash"
	Rebase      Method = "rebase"
)

// Merge merges the revision head into the branch and returns the branch's new
// tip. It really merges: ErrConflict when the two cannot be combined. Message
// is not used by Rebase, which keeps the commits' own.
func (s *Server) Merge(branch, head string, method Method, message, author string) (string, error) {
	ref := "refs/heads/" + branch
	base, err := s.SHA(ref)
	if err != nil {
		return "", err
	}
	tip, err := s.SHA(head)
	if err != nil {
		return "", err
	}
	var sha string
	switch method {
	case MergeCommit:
		sha, err = s.commitMerged(base, tip, message, author, base, tip)
	case Squash:
		sha, err = s.commitMerged(base, tip, message, author, base)
	case Rebase:
		sha, err = s.rebase(base, tip, author)
	default:
		err = fmt.Errorf("merge: unknown method %q", method)
	}
	if err != nil {
		return "", err
	}
	_, err = s.Git("update-ref", ref, sha, base)
	return sha, err
}

func (s *Server) commitMerged(base, tip, message, author string, parents ...string) (string, error) {
	tree, err := s.Git("merge-tree", "--write-tree", base, tip)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 1 {
		return "", fmt.Errorf("%w of %s and %s: %s", ErrConflict, base, tip, tree)
	}
	if err != nil {
		return "", err
	}
	args := []string{"commit-tree", tree, "-F", "-"}
	for _, p := range parents {
		args = append(args, "-p", p)
	}
	who := append(s.identity("AUTHOR", author), s.identity("COMMITTER", author)...)
	return s.git(s.Dir, []byte(message), who, args...)
}

// rebase replays head's own commits onto base in a throw-away worktree.
func (s *Server) rebase(base, tip, author string) (string, error) {
	parent, err := os.MkdirTemp("", "gittest-rebase-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(parent) }()
	dir := filepath.Join(parent, "tree")
	if _, err := s.Git("worktree", "add", "--quiet", "--detach", dir, base); err != nil {
		return "", err
	}
	defer func() { _, _ = s.Git("worktree", "remove", "--force", dir) }()
	commits, err := s.Git("rev-list", "--reverse", "--no-merges", base+".."+tip)
	if err != nil {
		return "", err
	}
	committer := s.identity("COMMITTER", author) // a rebase keeps the authors
	for _, c := range strings.Fields(commits) {
		if _, err := s.git(dir, nil, committer, "cherry-pick", "--allow-empty", c); err != nil {
			return "", fmt.Errorf("%w: %w", ErrConflict, err)
		}
	}
	return s.git(dir, nil, nil, "rev-parse", "HEAD")
}

// identity is git's environment for one role, AUTHOR or COMMITTER.
func (s *Server) identity(role, who string) []string {
	name, mail, _ := strings.Cut(orAuthor(who), " <")
	return []string{
		"GIT_" + role + "_NAME=" + name,
		"GIT_" + role + "_EMAIL=" + strings.TrimSuffix(mail, ">"),
		fmt.Sprintf("GIT_%s_DATE=%d +0000", role, s.tick().Unix()),
	}
}
