// Command gencrds writes the Gateway API CRDs that devcluster installs. It takes
// them from the module sigs.k8s.io/gateway-api at the version of go.mod and leaves
// out descriptions, which are nine tenths of their size. Run it with go generate.
package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"
)

const module = "sigs.k8s.io/gateway-api"

const header = `# Copyright The Kubernetes Authors.
# Licensed under the Apache License, Version 2.0.
# Generated from %s %s without descriptions. DO NOT EDIT.
`

func main() {
	if err := generate(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gencrds:", err)
		os.Exit(1)
	}
}

// generate writes one file for each plural resource name to the directory args[0].
func generate(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: gencrds DIRECTORY RESOURCE…")
	}
	dir, version, err := find(module)
	if err != nil {
		return err
	}
	for _, resource := range args[1:] {
		name := "gateway.networking.k8s.io_" + resource + ".yaml"
		source := filepath.Join(dir, "config", "crd", "standard", name)
		if err := strip(source, filepath.Join(args[0], resource+".yaml"), version); err != nil {
			return err
		}
	}
	return nil
}

// find returns the folder and the version of a module.
func find(module string) (dir, version string, err error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}\t{{.Version}}", module).Output()
	if err != nil {
		return "", "", fmt.Errorf("find %s: %w", module, err)
	}
	dir, version, ok := strings.Cut(strings.TrimSpace(string(out)), "\t")
	if !ok {
		return "", "", fmt.Errorf("find %s: unexpected answer %q", module, out)
	}
	return dir, version, nil
}

func strip(source, target, version string) error {
	content, err := os.ReadFile(source)
	if err != nil {
		return fmt.Errorf("read CRD: %w", err)
	}
	var crd map[string]any
	if err := yaml.Unmarshal(content, &crd); err != nil {
		return fmt.Errorf("decode %s: %w", source, err)
	}
	dropDescriptions(crd)
	body, err := yaml.Marshal(crd)
	if err != nil {
		return fmt.Errorf("encode %s: %w", target, err)
	}
	var file bytes.Buffer
	fmt.Fprintf(&file, header, module, version)
	file.Write(body)
	if err := os.WriteFile(target, file.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write CRD: %w", err)
	}
	return nil
}

// dropDescriptions removes documentation. A description that is not a string is a
// field of that name.
func dropDescriptions(node any) {
	switch n := node.(type) {
	case map[string]any:
		if _, ok := n["description"].(string); ok {
			delete(n, "description")
		}
		for _, child := range n {
			dropDescriptions(child)
		}
	case []any:
		for _, child := range n {
			dropDescriptions(child)
		}
	}
}
