// Command generate writes the JSON Schema of the evidence beside the Go type
// that it is derived from. Run it with go generate in the folder audit.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/sluice-cd/sluice/reconciler/audit"
)

const (
	module = "github.com/sluice-cd/sluice/"
	file   = "evidence.schema.json"
)

// described are the packages whose comments describe the fields.
var described = []string{"reconciler/audit", "reconciler/release", "analysis"}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run() error {
	data, err := generate(filepath.Join("..", ".."))
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

// generate returns the schema. Root is the repository.
func generate(root string) ([]byte, error) {
	comments := map[string]string{}
	for _, pkg := range described {
		if err := addComments(comments, root, pkg); err != nil {
			return nil, err
		}
	}
	r := &jsonschema.Reflector{CommentMap: comments, ExpandedStruct: true}
	schema := r.Reflect(audit.Record{})
	schema.ID = jsonschema.ID("https://sluice.dev/schemas/v1alpha1/" + file)
	data, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode schema: %w", err)
	}
	return append(data, '\n'), nil
}

// addComments undoes what the reader of comments makes of a relative folder: it
// joins the folder to the import path.
func addComments(to map[string]string, root, pkg string) error {
	var r jsonschema.Reflector
	if err := r.AddGoComments(module+pkg, filepath.Join(root, pkg)); err != nil {
		return fmt.Errorf("read comments of %s: %w", pkg, err)
	}
	for key, text := range r.CommentMap {
		_, name, _ := strings.Cut(filepath.Base(key), ".")
		to[module+pkg+"."+name] = strings.Join(strings.Fields(text), " ")
	}
	return nil
}
