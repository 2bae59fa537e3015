package main

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// An artifact is an image of the story and how it behaves.
type artifact struct {
	Digest  string `json:"digest"`
	Version string `json:"version"`
	About   string `json:"about"`
	// ErrorRate is the share of requests that are answered with 500, in the
	// listed namespaces' environments only when there are any.
	ErrorRate    float64  `json:"errorRate"`
	Environments []string `json:"environments,omitempty"`
}

func readArtifacts(file string) (map[string]artifact, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var doc struct {
		Artifacts []artifact `json:"artifacts"`
	}
	if err := yaml.UnmarshalStrict(data, &doc); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	out := map[string]artifact{}
	for _, a := range doc.Artifacts {
		out[a.Version] = a
	}
	return out, nil
}
