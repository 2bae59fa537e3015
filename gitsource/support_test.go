package gitsource_test

import (
	"crypto/sha1" // a pack ends in one
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func runStdin(t *testing.T, dir, stdin string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

// packAnswer sends a pack, with a right checksum, as git's server would.
func packAnswer(body []byte) http.Handler {
	sum := sha1.Sum(body)
	pack := append(append([]byte{}, body...), sum[:]...)
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		_, _ = fmt.Fprint(w, "0008NAK\n")
		for len(pack) > 0 {
			n := min(len(pack), 60000)
			_, _ = fmt.Fprintf(w, "%04x\x01%s", n+5, pack[:n])
			pack = pack[n:]
		}
		_, _ = fmt.Fprint(w, "0000")
	})
}
