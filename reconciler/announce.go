package reconciler

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sluice-cd/sluice/reconciler/render"
	"github.com/sluice-cd/sluice/reconciler/report"
)

// announcePreview posts what is new of a preview.
func (c *Reconciler) announcePreview(ctx context.Context, commit string, shown report.Preview) error {
	var errs []error
	for _, r := range shown.Reports() {
		err := c.announce(ctx, commit+" "+r.Context, r, func(ctx context.Context) error { return c.Announcer.Report(ctx, commit, r) })
		if err != nil {
			errs = append(errs, fmt.Errorf("report %s on %.12s: %w", r.Context, commit, err))
		}
	}
	comment, number := shown.Comment(), shown.Number
	err := c.announce(ctx, fmt.Sprintf("#%d", number), comment, func(ctx context.Context) error { return c.Announcer.Comment(ctx, number, comment) })
	if err != nil {
		errs = append(errs, fmt.Errorf("comment on #%d: %w", number, err))
	}
	return errors.Join(errs...)
}

// announce posts what is not what was posted last under the same key.
func (c *Reconciler) announce(ctx context.Context, key string, content any, post func(context.Context) error) error {
	value, err := digestOf(content)
	if err != nil {
		return err
	}
	c.mu.Lock()
	known := c.announced[key] == value
	c.mu.Unlock()
	if known || c.Observe {
		return nil
	}
	if err := post(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.announced) > maxAnnounced {
		clear(c.announced)
	}
	c.announced[key] = value
	c.Log.Info("showed what the gates say", "where", key)
	return nil
}

// maxAnnounced bounds the memory of what was posted; posting it again is
// harmless.
const maxAnnounced = 10_000

func digestOf(content any) (string, error) {
	data, err := json.Marshal(content)
	if err != nil {
		return "", fmt.Errorf("identify what is to be shown: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

func objectsOf(o render.Output) []*unstructured.Unstructured {
	return slices.Concat(o.Workload, o.Shared)
}
