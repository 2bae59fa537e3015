package forge_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/gitsource/forge"
)

func TestLatestChecksKeepsTheHighestIDOfEachAppAndName(t *testing.T) {
	future := time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
	latest := forge.LatestChecks([]forge.Check{
		{ID: 4, AppID: 1, Name: "test", Conclusion: "failure"},
		{ID: 3, AppID: 1, Name: "test", Conclusion: "success", StartedAt: future, CompletedAt: future},
		{ID: 9, AppID: 2, Name: "test", Conclusion: "success"},
		{ID: 1, AppID: 1, Name: "lint", Conclusion: "success"},
	})

	assert.Equal(t, []forge.Check{
		{ID: 1, AppID: 1, Name: "lint", Conclusion: "success"},
		{ID: 4, AppID: 1, Name: "test", Conclusion: "failure"},
		{ID: 9, AppID: 2, Name: "test", Conclusion: "success"},
	}, latest)
	assert.Empty(t, forge.LatestChecks(nil))
}

func TestCoAuthorsFindsEveryTrailer(t *testing.T) {
	ada := forge.Identity{Name: "Ada L", Email: "ada@example.com"}
	for name, c := range map[string]struct {
		message string
		want    []forge.Identity
	}{
		"none":                {"subject\n\nbody about co-authored-by", nil},
		"plain":               {"s\n\nCo-authored-by: Ada L <ada@example.com>", []forge.Identity{ada}},
		"any case, CRLF":      {"s\r\n\r\nCO-AUTHORED-BY: Ada L <ADA@example.com>\r\n", []forge.Identity{ada}},
		"indented, spaced":    {"s\n\n  Co-authored-by :  Ada L  < ada@example.com > ", []forge.Identity{ada}},
		"in the subject":      {"Co-authored-by: Ada L <ada@example.com>", []forge.Identity{ada}},
		"before other text":   {"s\n\nCo-authored-by: Ada L <ada@example.com>\n\nmore text", []forge.Identity{ada}},
		"behind a separator":  {"s\n\nx\u2028Co-authored-by: Ada L <ada@example.com>", []forge.Identity{ada}},
		"twice":               {"s\n\nCo-authored-by: Ada L <ada@example.com>\nCo-authored-by: Ada L <ada@example.com>", []forge.Identity{ada}},
		"without an e-mail":   {"s\n\nCo-authored-by: Ada L", []forge.Identity{{Name: "Ada L"}}},
		"with half an e-mail": {"s\n\nCo-authored-by: Ada L <ada@example.com", []forge.Identity{{Name: "Ada L"}}},
		"no address inside":   {"s\n\nCo-authored-by: Ada L <ada>", []forge.Identity{{Name: "Ada L"}}},
		"nobody":              {"s\n\nCo-authored-by:", []forge.Identity{{}}},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, forge.CoAuthors(c.message))
		})
	}
}

func FuzzCoAuthors(f *testing.F) {
	f.Add("subject\n\nCo-authored-by: Ada <ada@example.com>\r\nco-authored-by: <x@y> <z>")
	f.Add("Co-authored-by:Co-authored-by:<<>>\u2028co-authored-by:\x00<a@b>")
	f.Fuzz(func(t *testing.T, message string) {
		seen := map[forge.Identity]bool{}
		for _, who := range forge.CoAuthors(message) {
			if seen[who] {
				t.Fatalf("%+v twice", who)
			}
			seen[who] = true
			if strings.ContainsAny(who.Email, "<>\n\r \t") || strings.ContainsAny(who.Name, "\n\r") {
				t.Fatalf("a line break or bracket in %+v", who)
			}
		}
		known := forge.Identity{Name: "Ada", Email: "ada@example.com"}
		found := false
		for _, who := range forge.CoAuthors(message + "\nCo-authored-by: Ada <ada@example.com>\n") {
			found = found || who == known
		}
		if !found {
			t.Fatal("a plain trailer was hidden by what precedes it")
		}
	})
}

func TestErrorsSayWhatAndWhen(t *testing.T) {
	cause := fmt.Errorf("%w: gone", forge.ErrNotFound)
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600))
	assert.EqualError(t, &forge.TransientError{Subject: "ask", Err: cause}, "ask: not found: gone")
	assert.EqualError(t, &forge.TransientError{Subject: "ask", RetryAt: at, Err: cause}, "ask: not found: gone; no request before 2026-03-01T11:00:00Z")
	assert.EqualError(t, &forge.RejectedError{Subject: "ask", Err: cause}, "ask: not found: gone")
	assert.ErrorIs(t, &forge.RejectedError{Err: cause}, forge.ErrNotFound)
	assert.ErrorIs(t, &forge.TransientError{Err: cause}, forge.ErrNotFound)
}

func TestOnlyWriteAndAdminMayWrite(t *testing.T) {
	for permission, may := range map[forge.Permission]bool{
		forge.AdminPermission: true, forge.WritePermission: true, forge.ReadPermission: false, forge.NoPermission: false, "": false, "WRITE": false,
	} {
		assert.Equal(t, may, permission.MayWrite(), permission)
	}
}

func TestSplitRepositoryRefusesWhatCouldChangeAPath(t *testing.T) {
	owner, name, err := forge.SplitRepository("acme/env.v2_x-y")
	assert.NoError(t, err)
	assert.Equal(t, []string{"acme", "env.v2_x-y"}, []string{owner, name})
	for _, bad := range []string{"", "acme", "/x", "acme/", "a/b/c", "../x", "a/..", "a/b?x=1", "a/b%2f", "a b/c", "a/b#c", "a/\n"} {
		_, _, err := forge.SplitRepository(bad)
		assert.Error(t, err, bad)
	}
}
