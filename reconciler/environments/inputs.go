package environments

import (
	"errors"

	"github.com/sluice-cd/sluice/reconciler/release"
)

// Inputs is the identity of what a commit asks for of a release; "" when it
// asks for nothing that can be used.
func (r *Repository) Inputs(rules Rules, key release.Key, commit string) (string, error) {
	f, err := r.readFiles(rules, key, commit)
	var fault unusable
	if errors.As(err, &fault) {
		return "", nil
	}
	return f.inputs, err
}
