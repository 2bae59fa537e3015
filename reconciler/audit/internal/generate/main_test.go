package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCommittedSchemaIsFresh(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	want, err := generate(filepath.Join("..", ".."))
	require.NoError(t, err)
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "run go generate ./reconciler/audit")
}
