package request

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/reconciler/catalog"
	"github.com/sluice-cd/sluice/schemas"
)

// describe says what the promotion is to those who review it.
func (c *Clerk) describe(tip gitsource.TipView, p Promotion, upstream, target side, want schemas.Release, data []byte) (plan, error) {
	since, err := c.since(tip.SHA, target.key.String(), catalog.ControlFile)
	if err != nil {
		return plan{}, err
	}
	out := plan{
		subject: fmt.Sprintf("%s: promote %s", target.key, version(want)),
		head:    fmt.Sprintf("promote/%s-%s", p.Service, p.To), since: since,
		edits: []gitsource.Edit{gitsource.SetFile{Path: target.path, Content: data}},
	}
	if target.data != nil {
		out.message = fmt.Sprintf("It replaces %s. %s asks for the same.", version(target.release), upstream.key)
	} else {
		out.message = fmt.Sprintf("It is the first one. %s asks for the same.", upstream.key)
	}
	out.trailers = append(out.trailers, gitsource.Trailer{Key: "Release", Value: target.key.String()})
	for _, a := range want.List() {
		out.trailers = append(out.trailers, gitsource.Trailer{Key: "Artifact-Digest", Value: a.Digest})
	}
	for _, a := range target.release.List() {
		out.trailers = append(out.trailers, gitsource.Trailer{Key: "Previous-Digest", Value: a.Digest})
	}
	if want.Incident != "" {
		out.trailers = append(out.trailers, gitsource.Trailer{Key: "Incident", Value: want.Incident})
	}
	out.body = c.evidence(upstream, target, want)
	if target.control.Paused {
		out.notes = append(out.notes, fmt.Sprintf("%s is paused: %s", target.key, target.control.Reason))
	}
	return out, nil
}

// evidence is the body of a promotion's pull request.
func (c *Clerk) evidence(upstream, target side, want schemas.Release) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Promotes what `%s` asks for to `%s`, as change class `%s`", upstream.key, target.key, want.Change)
	if want.Incident != "" {
		fmt.Fprintf(&b, " for %s", code(want.Incident))
	}
	b.WriteString(".\n\n| image | | version | digest | source |\n|---|---|---|---|---|\n")
	before := target.release.List()
	for i, a := range want.List() {
		if i < len(before) && before[i].Image == a.Image {
			row(&b, "from", before[i], code(short(before[i].Source.Commit)))
			row(&b, "to", a, c.compared(a.Source.Repository, before[i].Source.Commit, a.Source.Commit))
			continue
		}
		row(&b, "to", a, code(short(a.Source.Commit)))
	}
	switch target.release.Base {
	case "":
		fmt.Fprintf(&b, "\n`%s/` is read from %s.\n", subtree(target.key.Service), code(short(want.Base)))
	case want.Base:
		fmt.Fprintf(&b, "\nThe base `%s/` stays the same.\n", subtree(target.key.Service))
	default:
		fmt.Fprintf(&b, "\nThe base `%s/` changes too: %s.\n", subtree(target.key.Service), c.compared(c.Repository, target.release.Base, want.Base))
	}
	b.WriteString("\nSluice shows on this pull request what every gate says before the merge. Nothing is applied before it is merged.\n")
	return b.String()
}

func row(b *strings.Builder, word string, a schemas.Artifact, source string) {
	fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", code(a.Image), word, code(orDash(a.Version)), code(a.Digest), source)
}

// compared names two commits, and links what lies between them where there is a
// web address. Repository and commits are checked by the schema.
func (c *Clerk) compared(repository, from, to string) string {
	text := fmt.Sprintf("%s…%s", short(from), short(to))
	if from == to {
		return code(short(to))
	}
	if c.Web == "" {
		return code(text)
	}
	return fmt.Sprintf("[%s](%s/%s/compare/%s...%s)", text, c.Web, repository, from, to)
}

// code makes foreign text inert in Markdown, also in a table.
func code(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '`':
			return '\''
		case r == '|':
			return '¦'
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return "`" + orDash(s) + "`"
}

func orDash(s string) string {
	if strings.TrimSpace(s) == "" {
		return "-"
	}
	return s
}

func short(commit string) string { return commit[:min(12, len(commit))] }

// version names what a release asks for, for people.
func version(r schemas.Release) string {
	for _, a := range r.List() {
		if a.Version != "" {
			return a.Version
		}
	}
	for _, a := range r.List() {
		return a.Digest[:min(19, len(a.Digest))]
	}
	return "nothing"
}
