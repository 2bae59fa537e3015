package request

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler/catalog"
	"github.com/sluice-cd/sluice/reconciler/release"
)

// returnWithin is how long ago something may have been stable to be returned to.
const returnWithin = 30 * 24 * time.Hour

// A Return asks for what was stable in an environment before.
type Return struct {
	Key release.Key
	// To is a commit, a revision or a version of what was stable; "" is what was
	// stable last and is not what the branch asks for.
	To string
	// Evidence is the commit of the audit branch that says what was stable.
	Evidence string
	Now      time.Time
}

// Return opens a pull request that makes a release's directory what it was, byte
// for byte but for the control file.
func (c *Clerk) Return(ctx context.Context, r Return, dry bool) (Filed, error) {
	return c.review(ctx, dry, func(tip gitsource.TipView) (plan, error) { return c.goBack(r, tip) })
}

// A stay is a time in which something was stable.
type stay struct {
	revision    release.Revision
	from, until time.Time // until is zero while it lasts
}

func (c *Clerk) goBack(r Return, tip gitsource.TipView) (plan, error) {
	policy, err := readPolicy(tip)
	if err != nil {
		return plan{}, err
	}
	if policy.Index(r.Key.Environment) == 0 {
		return plan{}, refused("revert the commit in a pull request", "%s is the first environment, whose base is not pinned", r.Key.Environment)
	}
	now, err := c.side(tip, r.Key)
	if err != nil {
		return plan{}, err
	}
	if now.data == nil {
		return plan{}, refused("", "%s is not there", now.path)
	}
	stays, err := c.stays(r)
	if err != nil {
		return plan{}, err
	}
	to, err := c.choose(r, now, tip, stays)
	if err != nil {
		return plan{}, err
	}
	return c.describeReturn(r, now, tip, to)
}

// stays are the times in which something was stable, the latest first.
func (c *Clerk) stays(r Return) ([]stay, error) {
	if r.Evidence == "" {
		return nil, refused("revert the promotion in a pull request", "there is no audit branch, so nothing says what was stable")
	}
	tree, err := c.History.FS(r.Evidence)
	if err != nil {
		return nil, err
	}
	dir := "evidence/" + r.Key.String()
	entries, err := fs.ReadDir(tree, dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var out []stay
	for _, e := range entries { // names begin with the time
		data, err := fs.ReadFile(tree, dir+"/"+e.Name())
		if err != nil {
			return nil, err
		}
		var record struct {
			Spec release.Evidence `json:"spec"`
		}
		if err := json.Unmarshal(data, &record); err != nil {
			return nil, fmt.Errorf("read evidence %s: %w", e.Name(), err)
		}
		spec := record.Spec
		if spec.Kind != "rollout" || spec.Candidate == nil || spec.Outcome != "stable" && spec.Outcome != "adopted" {
			continue
		}
		if n := len(out); n > 0 {
			out[n-1].until = spec.At
		}
		out = append(out, stay{revision: spec.Candidate.Revision, from: spec.At})
	}
	slices.Reverse(out)
	return out, nil
}

// choose picks what to go back to.
func (c *Clerk) choose(r Return, now side, tip gitsource.TipView, stays []stay) (stay, error) {
	asked, err := tip.TreeHashWithout(r.Key.String(), catalog.ControlFile)
	if err != nil {
		return stay{}, err
	}
	for _, s := range stays {
		if !s.fits(r.To) {
			continue
		}
		then, err := c.History.TreeHashWithout(s.revision.Commit, r.Key.String(), catalog.ControlFile)
		switch {
		case err != nil:
			return stay{}, fmt.Errorf("read %s as it was in %.12s: %w", r.Key, s.revision.Commit, err)
		case then == asked && r.To == "":
			continue
		case then == asked:
			return stay{}, refused("", "%s asks for that already", now.path)
		}
		if !s.until.IsZero() && r.Now.Sub(s.until) > returnWithin {
			return stay{}, refused("promote it again", "%s was stable last on %s, more than 30 days ago", versionOf(s.revision), s.until.UTC().Format(time.DateOnly))
		}
		for _, a := range s.revision.Artifacts {
			if h := held(now.control, a.Digest, s.revision.Inputs); h != nil {
				return stay{}, refused(fmt.Sprintf("go back to something else with --to, or have the hold lifted: sluice lift %s", r.Key),
					"%s is on hold: %s", versionOf(s.revision), h.Reason)
			}
		}
		return s, nil
	}
	if r.To != "" {
		return stay{}, refused(known(stays), "no evidence says that %s was stable in %s", r.To, r.Key.Environment)
	}
	return stay{}, refused("", "no evidence says that anything else was stable in %s", r.Key.Environment)
}

func (s stay) fits(to string) bool {
	r := s.revision
	return to == "" || r.Version == to || len(to) >= 7 && (strings.HasPrefix(r.Commit, to) || strings.HasPrefix(r.Inputs, to))
}

func known(stays []stay) string {
	var out []string
	for _, s := range stays {
		if v := versionOf(s.revision); !slices.Contains(out, v) && len(out) < 5 {
			out = append(out, v)
		}
	}
	if len(out) == 0 {
		return "there is no evidence of the release at all"
	}
	return "there is evidence of " + strings.Join(out, ", ")
}

func versionOf(r release.Revision) string {
	if r.Version != "" {
		return r.Version
	}
	return "revision " + r.ID
}

func (c *Clerk) describeReturn(r Return, now side, tip gitsource.TipView, to stay) (plan, error) {
	since, err := c.since(tip.SHA, r.Key.String(), catalog.ControlFile)
	if err != nil {
		return plan{}, err
	}
	p := plan{
		subject: fmt.Sprintf("%s: return to %s", r.Key, versionOf(to.revision)),
		message: fmt.Sprintf("It leaves %s. The directory is what it was in %.12s.", version(now.release), to.revision.Commit),
		head:    fmt.Sprintf("return/%s-%s", r.Key.Service, r.Key.Environment), since: since,
		edits:    []gitsource.Edit{gitsource.RestoreDir{Dir: r.Key.String(), Commit: to.revision.Commit, Except: []string{catalog.ControlFile}}},
		restored: to.revision.Commit,
		trailers: []gitsource.Trailer{{Key: "Release", Value: r.Key.String()}},
	}
	for _, a := range to.revision.Artifacts {
		p.trailers = append(p.trailers, gitsource.Trailer{Key: "Artifact-Digest", Value: a.Digest})
	}
	for _, a := range now.release.List() {
		p.trailers = append(p.trailers, gitsource.Trailer{Key: "Previous-Digest", Value: a.Digest})
	}
	p.body = fmt.Sprintf("Returns `%s` from %s to %s, which was stable there from %s. The directory is what it was in %s, byte for byte.\n",
		r.Key, code(version(now.release)), code(versionOf(to.revision)), to.from.UTC().Format(time.RFC3339), code(short(to.revision.Commit)))
	p.body += "\nSluice shows on this pull request what every gate says before the merge.\n"
	return p, nil
}
