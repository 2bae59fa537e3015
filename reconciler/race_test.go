//go:build race

package reconciler_test

// sampled is how many disturbed lives are left out between two that are lived:
// the race detector makes each ten times as long and finds nothing new in most.
const sampled = 6
