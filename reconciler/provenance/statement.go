package provenance

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// A Statement is what a build says about what it made.
type Statement struct {
	// Digests of the artifacts, as "sha256:" and 64 hexadecimal digits.
	Digests []string
	// Repository is where the source is, as host/owner/name in lower case.
	Repository string
	Commit     string // full SHA
	// Builder is what made the artifact, in its own words; "" when not told.
	Builder string
}

// Bounds of a statement; a build of a thousand images is none.
const (
	maxSubjects  = 1000
	maxMaterials = 10_000
)

// The wire formats, as far as they are read.
type (
	wireStatement struct {
		Type    string `json:"_type"`
		Subject []struct {
			Digest map[string]string `json:"digest"`
		} `json:"subject"`
		PredicateType string          `json:"predicateType"`
		Predicate     json.RawMessage `json:"predicate"`
	}
	material struct {
		URI    string            `json:"uri"`
		Digest map[string]string `json:"digest"`
	}
	predicateV1 struct {
		BuildDefinition struct {
			ExternalParameters struct {
				Workflow struct {
					Repository string `json:"repository"`
				} `json:"workflow"`
			} `json:"externalParameters"`
			ResolvedDependencies []material `json:"resolvedDependencies"`
		} `json:"buildDefinition"`
		RunDetails struct {
			Builder struct {
				ID string `json:"id"`
			} `json:"builder"`
		} `json:"runDetails"`
	}
	predicateV02 struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
		Invocation struct {
			ConfigSource material `json:"configSource"`
		} `json:"invocation"`
		Materials []material `json:"materials"`
	}
)

// Statement reads the payload. Whoever calls it decides whether to trust it.
func (e Envelope) Statement() (Statement, error) {
	var wire wireStatement
	if err := json.Unmarshal(e.payload, &wire); err != nil {
		return Statement{}, fmt.Errorf("read a statement: %w", err)
	}
	if wire.Type != "https://in-toto.io/Statement/v1" && wire.Type != "https://in-toto.io/Statement/v0.1" {
		return Statement{}, fmt.Errorf("read a statement: type %q is not an in-toto statement", wire.Type)
	}
	if len(wire.Subject) > maxSubjects {
		return Statement{}, fmt.Errorf("read a statement: %d subjects, the limit is %d", len(wire.Subject), maxSubjects)
	}
	s := Statement{}
	for _, subject := range wire.Subject {
		if sum := strings.ToLower(subject.Digest["sha256"]); digits.MatchString(sum) {
			s.Digests = append(s.Digests, "sha256:"+sum)
		}
	}
	if len(s.Digests) == 0 {
		return Statement{}, errors.New("read a statement: no subject has a sha256 digest")
	}
	return s, s.readPredicate(wire)
}

var (
	digits = regexp.MustCompile(`^[0-9a-f]{64}$`)
	commit = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

func (s *Statement) readPredicate(wire wireStatement) error {
	var err error
	switch wire.PredicateType {
	case "https://slsa.dev/provenance/v1":
		var p predicateV1
		if err = json.Unmarshal(wire.Predicate, &p); err == nil {
			s.Builder = p.RunDetails.Builder.ID
			err = s.readSource(p.BuildDefinition.ExternalParameters.Workflow.Repository, p.BuildDefinition.ResolvedDependencies)
		}
	case "https://slsa.dev/provenance/v0.2":
		var p predicateV02
		if err = json.Unmarshal(wire.Predicate, &p); err == nil {
			s.Builder = p.Builder.ID
			err = s.readSource(p.Invocation.ConfigSource.URI, append(p.Materials, p.Invocation.ConfigSource))
		}
	default:
		err = fmt.Errorf("predicate type %q is not SLSA provenance v1 or v0.2", wire.PredicateType)
	}
	if err != nil {
		return fmt.Errorf("read a statement: %w", err)
	}
	return nil
}

// readSource finds the one repository and commit that the artifact was built
// from. Origin is the repository whose build it was, where the statement says so;
// without it, there must be no second one among what went in.
func (s *Statement) readSource(origin string, materials []material) error {
	if len(materials) > maxMaterials {
		return fmt.Errorf("%d materials, the limit is %d", len(materials), maxMaterials)
	}
	commits := map[string][]string{}
	for _, m := range materials {
		repository, ok := repositoryOf(m.URI)
		sha := strings.ToLower(firstOf(m.Digest, "gitCommit", "sha1"))
		if ok && commit.MatchString(sha) && !slices.Contains(commits[repository], sha) {
			commits[repository] = append(commits[repository], sha)
		}
	}
	if origin != "" {
		repository, ok := repositoryOf(origin)
		if !ok {
			return fmt.Errorf("%q is not the address of a repository", origin)
		}
		s.Repository = repository
	} else {
		if len(commits) > 1 {
			return fmt.Errorf("it names %d repositories and not which of them it was built from", len(commits))
		}
		for repository := range commits {
			s.Repository = repository
		}
	}
	switch found := commits[s.Repository]; len(found) {
	case 0:
		return errors.New("it names no source commit")
	case 1:
		s.Commit = found[0]
		return nil
	default:
		return fmt.Errorf("it names %d commits of %s and not which of them it was built from", len(found), s.Repository)
	}
}

func firstOf(digest map[string]string, names ...string) string {
	for _, name := range names {
		if value := digest[name]; value != "" {
			return value
		}
	}
	return ""
}

// repositoryOf reads the address of a git repository, such as
// git+https://github.com/acme/checkout@refs/heads/main.
func repositoryOf(uri string) (string, bool) {
	if strings.HasPrefix(uri, "pkg:") || len(uri) > 2000 {
		return "", false
	}
	u, err := url.Parse(strings.TrimPrefix(uri, "git+"))
	if err != nil || u.Host == "" || !slices.Contains([]string{"https", "http", "ssh", "git"}, u.Scheme) {
		return "", false
	}
	path, _, _ := strings.Cut(strings.Trim(u.Path, "/"), "@")
	path = strings.TrimSuffix(strings.Trim(path, "/"), ".git")
	if path == "" {
		return "", false
	}
	return strings.ToLower(u.Host + "/" + path), true
}

// Home spells the address of a repository as statements are read: without scheme.
func Home(address string) string {
	home, _ := repositoryOf(address)
	return home
}
