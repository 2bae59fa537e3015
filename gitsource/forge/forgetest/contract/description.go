package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
)

const fileName = ".cache/openapi/api.github.com.json"

// usedPaths are the parts of the description that Sluice meets. The rest is
// left out: to build a model of all 800 paths takes a minute.
var usedPaths = regexp.MustCompile(`^(/user|/user/\{account_id\}|/users/\{username\}|/app/installations/\{installation_id\}/access_tokens` +
	`|/orgs/\{org\}/teams/\{team_slug\}(/memberships/\{username\})?` +
	`|/repos/\{owner\}/\{repo\}(|/activity|/attestations/\{subject_digest\}|/branches(/\{branch\})?|/code-scanning/(alerts|analyses)|/collaborators/\{username\}/permission|/check-runs(/\{check_run_id\})?` +
	`|/commits(|/(\{commit_sha\}/pulls|\{ref\}/check-runs|\{ref\}/status(es)?))|/compare/\{basehead\}|/issues/(\{issue_number\}/(events|comments)|comments/\{comment_id\})|/statuses/\{sha\}` +
	`|/git/(blobs|commits|trees|refs|refs?/\{ref\})` +
	`|/pulls(/\{pull_number\}(|/commits|/merge|/reviews(/\{review_id\}/dismissals)?))?))$`)

// foreignFormats are parts of answers whose format is not GitHub's own: it
// describes them as objects with anything inside.
var foreignFormats = []string{
	"$.body.attestations[*].bundle.verificationMaterial.*", "$.body.attestations[*].bundle.dsseEnvelope.*",
}

// A description is the part of GitHub's description that is used.
type description struct {
	validate validator.Validator
	statuses []operation
}

// An operation is one documented request and its documented statuses.
type operation struct {
	method   string
	path     *regexp.Regexp
	statuses map[string]bool
}

var load = sync.OnceValues(func() (*description, error) {
	path, err := locate()
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parse(raw)
})

// locate looks for the file from the working directory upwards to go.mod.
func locate() (string, error) {
	if path := os.Getenv("SLUICE_OPENAPI"); path != "" {
		return path, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, fileName), nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("find the module's root: %w", fs.ErrNotExist)
		}
		dir = parent
	}
}

func parse(raw []byte) (*description, error) {
	var whole map[string]any
	if err := json.Unmarshal(raw, &whole); err != nil {
		return nil, fmt.Errorf("parse GitHub's description: %w", err)
	}
	trimmed, paths := trim(whole)
	text, err := json.Marshal(trimmed)
	if err != nil {
		return nil, err
	}
	document, err := libopenapi.NewDocument(text)
	if err != nil {
		return nil, fmt.Errorf("read GitHub's description: %w", err)
	}
	validate, errs := validator.NewValidator(document, config.WithoutSecurityValidation(), config.WithoutResponseStatusValidation(),
		config.WithStrictMode(), config.WithStrictIgnorePaths(foreignFormats...), config.WithStrictIgnoredHeadersExtra("User-Agent", "Accept-Encoding", "X-Github-Api-Version", "If-None-Match", "Authorization", "Content-Type"))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("model GitHub's description: %w", err)
	}
	return &description{validate: validate, statuses: operations(paths)}, nil
}

// trim keeps the used paths and what they refer to.
func trim(whole map[string]any) (trimmed, paths map[string]any) {
	all, _ := whole["paths"].(map[string]any)
	paths = map[string]any{}
	for path, item := range all {
		if usedPaths.MatchString(path) {
			paths[path] = item
		}
	}
	components := map[string]any{}
	keepReferenced(paths, whole, components)
	return map[string]any{
		"openapi": whole["openapi"], "info": map[string]any{"title": "GitHub", "version": "1"},
		"servers": whole["servers"], "paths": paths, "components": components,
	}, paths
}

// keepReferenced copies everything that node refers to, directly or not, into
// kept, and drops examples on the way.
func keepReferenced(node any, whole, kept map[string]any) {
	switch node := node.(type) {
	case []any:
		for _, item := range node {
			keepReferenced(item, whole, kept)
		}
	case map[string]any:
		delete(node, "examples")
		allowNull(node)
		if target, ok := node["$ref"].(string); ok {
			keepTarget(target, whole, kept)
		}
		for _, value := range node {
			keepReferenced(value, whole, kept)
		}
	}
}

// allowNull makes "nullable" beside "oneOf" mean what GitHub means by it.
// OpenAPI 3.0 gives it a meaning only beside "type".
func allowNull(schema map[string]any) {
	choices, ok := schema["oneOf"].([]any)
	if ok && schema["nullable"] == true && schema["type"] == nil {
		null := map[string]any{"type": "string", "nullable": true, "enum": []any{nil}}
		schema["oneOf"] = append(choices[:len(choices):len(choices)], null)
		delete(schema, "nullable")
	}
}

func keepTarget(target string, whole, kept map[string]any) {
	section, name, _ := strings.Cut(strings.TrimPrefix(target, "#/components/"), "/")
	all, _ := whole["components"].(map[string]any)
	from, _ := all[section].(map[string]any)
	into, _ := kept[section].(map[string]any)
	if into == nil {
		into = map[string]any{}
		kept[section] = into
	}
	if _, known := into[name]; known || from[name] == nil {
		return
	}
	into[name] = from[name]
	keepReferenced(from[name], whole, kept)
}

var parameter = regexp.MustCompile(`\\\{[^/]*\\\}`)

func operations(paths map[string]any) []operation {
	var found []operation
	for path, item := range paths {
		pattern := "^" + parameter.ReplaceAllString(regexp.QuoteMeta(path), "[^/]+") + "$"
		methods, _ := item.(map[string]any)
		for method, value := range methods {
			documented, ok := value.(map[string]any)
			if !ok {
				continue
			}
			op := operation{method: strings.ToUpper(method), path: regexp.MustCompile(pattern), statuses: map[string]bool{}}
			responses, _ := documented["responses"].(map[string]any)
			for status := range responses {
				op.statuses[status] = true
			}
			found = append(found, op)
		}
	}
	return found
}
