package gitsource_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sluice-cd/sluice/gitsource"
)

func FuzzParseTree(f *testing.F) {
	hash := strings.Repeat("h", 20)
	f.Add([]byte("100644 a\x00" + hash + "40000 b\x00" + hash))
	f.Add([]byte("100644 a\x00short"))
	f.Add([]byte("40000 a\x00" + hash + "100644 a.b\x00" + hash))
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := gitsource.ReencodeTree(data)
		if err != nil {
			require.ErrorIs(t, err, gitsource.ErrMalformed)
			return
		}
		again, err := gitsource.ReencodeTree(out)
		require.NoError(t, err)
		assert.Equal(t, out, again)
	})
}

func FuzzParseCommit(f *testing.F) {
	head := "tree " + strings.Repeat("1", 40) + "\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n"
	f.Add([]byte(head + "\nmessage\n"))
	f.Add([]byte(head + "gpgsig one\n two\n\nmessage\n"))
	f.Add([]byte(head + "encoding x\n\n"))
	f.Add([]byte(head))
	f.Fuzz(func(t *testing.T, data []byte) {
		payload, signature, err := gitsource.SplitCommit(data)
		if err != nil {
			require.ErrorIs(t, err, gitsource.ErrMalformed)
			return
		}
		if signature != nil {
			lines := strings.Split(string(signature), "\n")
			header := "gpgsig " + strings.Join(lines, "\n ") + "\n"
			assert.Equal(t, len(data), len(payload)+len(header), "the signature and nothing else was cut out")
			_, again, err := gitsource.SplitCommit(payload)
			require.NoError(t, err)
			assert.Nil(t, again)
		}
	})
}
