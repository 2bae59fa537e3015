package request

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/release"
	"github.com/sluice-cd/sluice/schemas"
)

// A Hold asks that an artifact or one revision of the inputs never comes back.
type Hold struct {
	Digest, Revision string
	Reason           string
	By               string // login, "" where it is not known
	At               time.Time
}

// Hold commits a hold, and opens a pull request where the branch takes no pushes:
// what makes things stricter needs no approval.
func (c *Clerk) Hold(ctx context.Context, key release.Key, h Hold, dry bool) (Filed, error) {
	return c.stricter(ctx, dry, func(tip gitsource.TipView) (plan, error) {
		control, data, err := c.control(tip, key)
		if err != nil {
			return plan{}, err
		}
		if at := held(control, h.Digest, h.Revision); at != nil {
			return plan{}, refused("", "it is on hold already: %s", at.Reason)
		}
		path := environments.ControlPath(key)
		after, err := schemas.AddHold(path, data, schemas.Hold{
			Digest: h.Digest, Revision: h.Revision, Reason: h.Reason, By: h.By, At: schemas.Time{Time: h.At.UTC().Truncate(time.Second)},
		})
		if err != nil {
			return plan{}, err
		}
		return c.controlled(tip, key, "hold", fmt.Sprintf("hold %s", named(h.Digest, h.Revision)), h.Reason, after)
	})
}

// Pause commits a pause as Hold commits a hold. What runs goes on.
func (c *Clerk) Pause(ctx context.Context, key release.Key, reason string, dry bool) (Filed, error) {
	return c.stricter(ctx, dry, func(tip gitsource.TipView) (plan, error) {
		control, data, err := c.control(tip, key)
		if err != nil {
			return plan{}, err
		}
		if control.Paused {
			return plan{}, refused("", "%s is paused already: %s", key, control.Reason)
		}
		if data == nil {
			data = []byte("apiVersion: " + schemas.APIVersion + "\nkind: " + schemas.KindControl + "\n")
		}
		after, err := edit(data, field{path: "paused", value: "true", plain: true}, field{path: "reason", value: reason})
		if err != nil {
			return plan{}, byHand(key, err)
		}
		want := control
		want.Paused, want.Reason = true, reason
		if err := means(key, after, want); err != nil {
			return plan{}, err
		}
		return c.controlled(tip, key, "pause", "pause", reason, after)
	})
}

// Resume opens a pull request that ends a pause.
func (c *Clerk) Resume(ctx context.Context, key release.Key, dry bool) (Filed, error) {
	return c.review(ctx, dry, func(tip gitsource.TipView) (plan, error) {
		control, data, err := c.control(tip, key)
		if err != nil {
			return plan{}, err
		}
		if !control.Paused {
			return plan{}, refused("", "%s is not paused", key)
		}
		after, err := edit(data, field{path: "paused"}, field{path: "reason"})
		if err != nil {
			return plan{}, byHand(key, err)
		}
		want := control
		want.Paused, want.Reason = false, ""
		if err := means(key, after, want); err != nil {
			return plan{}, err
		}
		return c.controlled(tip, key, "resume", "resume", "It was paused: "+control.Reason, orNothing(want, after))
	})
}

// Lift opens a pull request that takes holds out: those of a digest or revision,
// or all of them where neither is given.
func (c *Clerk) Lift(ctx context.Context, key release.Key, digest, revision string, dry bool) (Filed, error) {
	return c.review(ctx, dry, func(tip gitsource.TipView) (plan, error) {
		control, data, err := c.control(tip, key)
		if err != nil {
			return plan{}, err
		}
		want := control
		want.Holds = nil
		var lifted []string
		for i, h := range control.Holds {
			fits := digest == "" && revision == "" || digest != "" && h.Digest == digest || revision != "" && strings.HasPrefix(h.Revision, revision)
			if !fits {
				want.Holds = append(want.Holds, h)
				continue
			}
			lifted = append(lifted, fmt.Sprintf("%s was held: %s", named(h.Digest, h.Revision), h.Reason))
			if data, err = withoutHold(data, i-len(lifted)+1); err != nil {
				return plan{}, byHand(key, err)
			}
		}
		if len(lifted) == 0 {
			return plan{}, refused("", "nothing of that is on hold in %s", environments.ControlPath(key))
		}
		if err := means(key, data, want); err != nil {
			return plan{}, err
		}
		return c.controlled(tip, key, "lift", "lift "+plural(len(lifted), "hold"), strings.Join(lifted, "\n"), orNothing(want, data))
	})
}

// control is the release's control file; nil data where there is none.
func (c *Clerk) control(tip gitsource.TipView, key release.Key) (schemas.Control, []byte, error) {
	own, err := tip.SubtreeHash(key.String())
	if err != nil {
		return schemas.Control{}, nil, err
	}
	if own == "" {
		return schemas.Control{}, nil, refused("write <environment>/<service> as the directory is called", "there is no release %s", key)
	}
	path := environments.ControlPath(key)
	data, err := optional(tip, path)
	if err != nil {
		return schemas.Control{}, nil, err
	}
	control, err := readControl(tip, path)
	return control, data, err
}

// controlled plans one change of a control file; nil data removes it.
func (c *Clerk) controlled(tip gitsource.TipView, key release.Key, word, subject, why string, data []byte) (plan, error) {
	path := environments.ControlPath(key)
	since, err := c.since(tip.SHA, key.String())
	if err != nil {
		return plan{}, err
	}
	p := plan{
		subject: fmt.Sprintf("%s: %s", key, subject), message: why,
		trailers: []gitsource.Trailer{{Key: "Release", Value: key.String()}},
		head:     fmt.Sprintf("%s/%s-%s", word, key.Service, key.Environment), since: since,
		edits: []gitsource.Edit{gitsource.SetFile{Path: path, Content: data}},
		body:  fmt.Sprintf("Changes `%s` and nothing else.\n\n", path),
	}
	if data == nil {
		p.edits = []gitsource.Edit{gitsource.DeleteFile{Path: path}}
	}
	for line := range strings.Lines(why) {
		p.body += "- " + code(strings.TrimSpace(line)) + "\n"
	}
	if word == "lift" || word == "resume" {
		p.body += "\nIt makes things looser, so it needs the approvals of a standard promotion.\n"
	}
	return p, nil
}

// stricter commits to the branch itself, or asks for a merge where it may not.
func (c *Clerk) stricter(ctx context.Context, dry bool, decide func(tip gitsource.TipView) (plan, error)) (Filed, error) {
	if dry {
		return c.review(ctx, dry, decide)
	}
	d, p, err := c.draft(ctx, decide)
	if err != nil {
		return Filed{}, reasonOf(err)
	}
	filed := Filed{Title: p.subject, Branch: c.Branch, Notes: p.notes}
	if filed.Files, err = c.files(d, ""); err != nil {
		return filed, err
	}
	filed.Commit, err = c.Writer.Write(ctx, c.proposal(&p, decide))
	if errors.Is(err, gitsource.ErrRefused) {
		filed, err = c.review(ctx, dry, decide)
		filed.Notes = append(filed.Notes, fmt.Sprintf("branch %s takes no pushes from you, so it is in force once the pull request is merged", c.Branch))
		return filed, err
	}
	return filed, reasonOf(err)
}

// withoutHold takes one entry out of the list, and the list with its last one.
func withoutHold(data []byte, i int) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil || len(document.Content) != 1 {
		return nil, errors.Join(err, errNotLines)
	}
	root := document.Content[0]
	at := slices.IndexFunc(root.Content, func(n *yaml.Node) bool { return n.Value == "holds" })
	if at < 0 || i >= len(root.Content[at+1].Content) {
		return nil, errNotLines
	}
	list := root.Content[at+1]
	if list.Content = slices.Delete(list.Content, i, i+1); len(list.Content) == 0 {
		root.Content = slices.Delete(root.Content, at, at+2)
	}
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	err := encoder.Encode(&document)
	return b.Bytes(), err
}

// means refuses an edit that would do anything else.
func means(key release.Key, data []byte, want schemas.Control) error {
	got, err := schemas.DecodeControl(environments.ControlPath(key), data)
	if err != nil {
		return err
	}
	same := got.Paused == want.Paused && got.Reason == want.Reason && (got.Freeze == nil) == (want.Freeze == nil) &&
		slices.EqualFunc(got.Holds, want.Holds, func(a, b schemas.Hold) bool {
			return a.Digest == b.Digest && a.Revision == b.Revision && a.Reason == b.Reason && a.Rollback == b.Rollback
		})
	if !same {
		return byHand(key, errors.New("it would mean something else after the change"))
	}
	return nil
}

func byHand(key release.Key, err error) error {
	return refused("edit it by hand", "%s cannot be changed: %v", environments.ControlPath(key), err)
}

// orNothing removes a file that asks for nothing any more.
func orNothing(c schemas.Control, data []byte) []byte {
	if !c.Paused && len(c.Holds) == 0 && c.Freeze == nil {
		return nil
	}
	return data
}

func named(digest, revision string) string {
	if digest != "" {
		return digest
	}
	return "revision " + revision
}

func plural(n int, noun string) string {
	if n == 1 {
		return "a " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
