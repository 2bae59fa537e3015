package cluster_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/reconciler/cluster"
)

func TestExceptionEndsFourHoursAfterItWasWrittenAtTheLatest(t *testing.T) {
	const annotated = `
apiVersion: v1
kind: Service
metadata:
  name: checkout
  annotations: {sluice.dev/break-glass: INC-2093, sluice.dev/break-glass-until: "UNTIL"}
  managedFields:
  - manager: MANAGER
    operation: Update
    time: "2026-03-02T10:00:00Z"
    fieldsType: FieldsV1
    fieldsV1: {"f:metadata": {"f:annotations": {"f:sluice.dev/break-glass-until": {}}}}
  - {manager: kubectl-edit, operation: Update, time: "2026-03-02T12:00:00Z", fieldsType: FieldsV1, fieldsV1: {"f:spec": {}}}
`
	for name, c := range map[string]struct{ until, manager, ends string }{
		"as written":                {"2026-03-02T11:30:00Z", "kubectl-annotate", "2026-03-02T11:30:00Z"},
		"no later than the limit":   {"2026-03-09T11:30:00Z", "kubectl-annotate", "2026-03-02T14:00:00Z"},
		"not from the manifests":    {"2026-03-02T11:30:00Z", "sluice", ""},
		"not without a time":        {"tomorrow", "kubectl-annotate", ""},
		"not without a known start": {"2026-03-02T11:30:00Z", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := object(t, strings.NewReplacer("UNTIL", c.until, "MANAGER", c.manager).Replace(annotated))
			if c.manager == "" {
				o.SetManagedFields(nil)
			}
			ends := cluster.ExceptionEnd(t, o)
			if c.ends == "" {
				assert.Zero(t, ends)
				return
			}
			assert.Equal(t, c.ends, ends.Format(time.RFC3339))
		})
	}
}
