package environments

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/sluice-cd/sluice/gitsource/forge"
	"github.com/sluice-cd/sluice/reconciler/gate"
	"github.com/sluice-cd/sluice/reconciler/provenance"
	"github.com/sluice-cd/sluice/schemas"
)

// StatementsPath is the file of the environments repository where a build leaves
// signed statements about an artifact, one on each line. It is neither rendered
// nor part of any inputs: it may arrive at any time and is trusted for its
// signature alone.
func StatementsPath(service, digest string) string {
	return "provenance/" + service + "/" + strings.Replace(digest, ":", "-", 1) + ".jsonl"
}

// maxStatements bounds the signatures that one file has verified.
const maxStatements = 100

// built gathers where the artifacts of a release were built, as far as the policy
// accepts a proof.
func (q *inquiry) built(ctx context.Context, rules Rules, file schemas.Release, c Candidate) []gate.Origin {
	environment, _ := rules.Policy.Environment(c.Key.Environment)
	if environment.Provenance == nil || rules.First(c.Key.Environment) || c.Retired {
		return nil
	}
	var out []gate.Origin
	for _, a := range file.List() {
		o := gate.Origin{Digest: a.Digest, Repository: a.Source.Repository, Commit: a.Source.Commit}
		service := rules.Services[c.Key.Service]
		if strings.EqualFold(a.Source.Repository, service.Source.Repository) {
			_, o.Contained = q.contained(ctx, q.allowed(service, file), a.Source)
			q.trackDown(ctx, *environment.Provenance, c, &o)
		} else {
			o.Contained.Reason = "the service is built from " + service.Source.Repository
		}
		out = append(out, o)
	}
	return out
}

// trackDown asks for every kind of proof that the policy accepts. A question that
// is not answered leaves the others.
func (q *inquiry) trackDown(ctx context.Context, accepted schemas.Provenance, c Candidate, o *gate.Origin) {
	o.Home = provenance.Home(q.forge.Home(o.Repository))
	var errs []error
	if len(accepted.Keys) > 0 {
		errs = append(errs, q.readSigned(ctx, accepted.Keys, c, o))
	}
	if accepted.Attestation {
		errs = append(errs, q.readAttested(ctx, o))
	}
	if accepted.Check != nil {
		var err error
		o.Runs, err = q.ask.Checks(ctx, o.Repository, o.Commit)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		o.Unknown = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
}

// readSigned reads the statements at the tip of the branch, and for a preview
// those that the pull request brings along.
func (q *inquiry) readSigned(ctx context.Context, accepted []schemas.ProvenanceKey, c Candidate, o *gate.Origin) error {
	keys, err := publicKeys(accepted)
	if err != nil {
		return err
	}
	tip, err := q.git.Last(ctx)
	if err != nil {
		return err
	}
	commits := []string{tip}
	if c.PullRequest != nil {
		commits = append(commits, c.Want.Promotion.Commit)
	}
	path := StatementsPath(c.Key.Service, o.Digest)
	for _, commit := range commits {
		data, err := q.read(commit, path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case errors.As(blame(err), new(unusable)):
			ignore(o, path, err)
			continue
		case err != nil:
			return err
		}
		readLines(o, path, data, keys)
	}
	return nil
}

func publicKeys(accepted []schemas.ProvenanceKey) ([]provenance.Key, error) {
	keys := make([]provenance.Key, len(accepted))
	for i, k := range accepted {
		public, err := k.Public()
		if err != nil {
			return nil, fmt.Errorf("read key %s of the policy: %w", k.Name, err)
		}
		keys[i] = provenance.Key{Name: k.Name, Public: public}
	}
	return keys, nil
}

// readAttested takes the forge's word for where it keeps an attestation.
func (q *inquiry) readAttested(ctx context.Context, o *gate.Origin) error {
	kept, err := q.ask.Attestations(ctx, o.Repository, o.Digest)
	switch {
	case errors.Is(err, forge.ErrNoRecord):
		return fmt.Errorf("%w: name keys or a check as provenance in the policy instead", err)
	case err != nil:
		return err
	}
	for i, attestation := range kept {
		where := fmt.Sprintf("attestation %d", i+1)
		envelope, err := provenance.Open(attestation.Bundle)
		if err != nil {
			ignore(o, where, err)
			continue
		}
		add(o, where, envelope, "")
	}
	return nil
}

func readLines(o *gate.Origin, path string, data []byte, keys []provenance.Key) {
	n := 0
	for line := range bytes.Lines(data) {
		n++
		where := fmt.Sprintf("%s:%d", path, n)
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if n > maxStatements {
			ignore(o, where, fmt.Errorf("only %d lines are read", maxStatements))
			return
		}
		envelope, err := provenance.Open(line)
		if err != nil {
			ignore(o, where, err)
			continue
		}
		key, err := envelope.Signer(keys)
		if err != nil {
			ignore(o, where, err)
			continue
		}
		add(o, where, envelope, key.Name)
	}
}

// add reads a statement that is trusted for the key that signed it or, without
// one, for where it was found.
func add(o *gate.Origin, where string, envelope provenance.Envelope, key string) {
	s, err := envelope.Statement()
	if err != nil {
		ignore(o, where, err)
		return
	}
	o.Statements = append(o.Statements, gate.Statement{
		Key: key, Digests: s.Digests, Repository: s.Repository, Commit: s.Commit, Builder: s.Builder,
	})
}

func ignore(o *gate.Origin, where string, err error) {
	o.Ignored = append(o.Ignored, gate.Evidence{Text: where + " does not count: " + err.Error()})
}
