// Command generate writes the JSON Schemas of the kinds beside the Go types
// that they are derived from. Run it with go generate in the folder schemas.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/sluice-cd/sluice/schemas"
	"github.com/sluice-cd/sluice/schemas/condition"
)

const module = "github.com/sluice-cd/sluice"

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// run writes the schemas into the folder of package schemas.
func run(folder string) error {
	files, err := generate(folder)
	if err != nil {
		return err
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o644); err != nil {
			return fmt.Errorf("write schema: %w", err)
		}
	}
	return nil
}

// generate returns the schemas by file name. Descriptions are the comments in folder.
func generate(folder string) (map[string][]byte, error) {
	comments := &jsonschema.Reflector{}
	if err := comments.AddGoComments(module+"/schemas", folder); err != nil {
		return nil, fmt.Errorf("read comments: %w", err)
	}
	files := map[string][]byte{}
	for _, kind := range []any{schemas.Policy{}, schemas.Service{}, schemas.Release{}, schemas.Control{}, schemas.PolicyTest{}} {
		name := strings.ToLower(reflect.TypeOf(kind).Name()) + ".schema.json"
		r := &jsonschema.Reflector{
			CommentMap:                 byPackage(comments.CommentMap),
			RequiredFromJSONSchemaTags: true,
			ExpandedStruct:             true,
			Mapper:                     scalars,
		}
		schema := r.Reflect(kind)
		schema.ID = jsonschema.ID("https://sluice.dev/schemas/v1alpha1/" + name)
		data, err := json.MarshalIndent(schema, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", name, err)
		}
		files[name] = append(data, '\n')
	}
	return files, nil
}

// byPackage undoes what the reader of comments makes of a relative folder: it joins
// the folder to the import path.
func byPackage(comments map[string]string) map[string]string {
	fixed := make(map[string]string, len(comments))
	for key, text := range comments {
		pkg, name, _ := strings.Cut(filepath.Base(key), ".")
		if pkg == "condition" {
			continue // a package below, whose types have the same names
		}
		fixed[module+"/schemas."+name] = strings.Join(strings.Fields(text), " ")
	}
	return fixed
}

// scalars describes the types that are written as text.
func scalars(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[schemas.Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`, Examples: []any{"30s", "15m", "2h"}}
	case reflect.TypeFor[schemas.Percent]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
			{Type: "string", Pattern: `^[0-9]+(\.[0-9]+)?%$`},
			{Type: "number", Minimum: "0", Maximum: "100"},
		}}
	case reflect.TypeFor[schemas.Condition]():
		return &jsonschema.Schema{Type: "string", MaxLength: new(uint64(condition.MaxLength)), Examples: []any{`release.class != "breaking" || pullRequest.approvals >= 3`}}
	case reflect.TypeFor[schemas.Date]():
		return &jsonschema.Schema{Type: "string", Format: "date"}
	case reflect.TypeFor[schemas.Time]():
		return &jsonschema.Schema{Type: "string", Format: "date-time"}
	}
	return nil
}
