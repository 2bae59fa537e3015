//go:build !race

package reconciler_test

const sampled = 1
