package schemas

import "embed"

//go:generate go run ./internal/generate

//go:embed *.schema.json
var files embed.FS

// JSONSchema returns the JSON Schema of a kind, for editors; Decode does not need it.
func JSONSchema(kind string) ([]byte, bool) {
	names := map[string]string{
		KindPolicy:  "policy.schema.json",
		KindService: "service.schema.json",
		KindRelease: "release.schema.json",
		KindControl: "control.schema.json",

		KindPolicyTest: "policytest.schema.json",
	}
	data, err := files.ReadFile(names[kind])
	return data, err == nil
}
