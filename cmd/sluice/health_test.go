package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type patient struct {
	started        bool
	stuck, unready string
}

func (p *patient) Started() bool            { return p.started }
func (p *patient) Stuck(time.Time) string   { return p.stuck }
func (p *patient) Unready(time.Time) string { return p.unready }

func TestProbesAnswerWhatTheLoopSays(t *testing.T) {
	p := &patient{unready: "the branch has not been read since the start"}
	h, err := newHealthServer("127.0.0.1:0", p, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	get := func(path string) (int, string) {
		answer, err := http.Get("http://" + h.listener.Addr().String() + path)
		require.NoError(t, err)
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		return answer.StatusCode, string(body)
	}

	code, body := get("/health/startup")
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.JSONEq(t, `{"status": "unavailable", "reason": "the records are being read"}`, body)
	code, _ = get("/health/live")
	assert.Equal(t, http.StatusOK, code, "a start takes its time")
	code, body = get("/health/ready")
	assert.Equal(t, http.StatusServiceUnavailable, code)
	assert.JSONEq(t, `{"status": "unavailable", "reason": "the branch has not been read since the start"}`, body)

	*p = patient{started: true, stuck: "reading the branch has been at work since noon"}
	code, body = get("/health/startup")
	assert.Equal(t, http.StatusOK, code)
	assert.JSONEq(t, `{"status": "ok"}`, body)
	code, _ = get("/health/live")
	assert.Equal(t, http.StatusServiceUnavailable, code)
	code, _ = get("/health/ready")
	assert.Equal(t, http.StatusOK, code)
	code, _ = get("/")
	assert.Equal(t, http.StatusNotFound, code)

	cancel()
	require.NoError(t, <-ended)
}

func TestPortThatIsTakenEndsTheStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, err = newHealthServer(taken.Addr().String(), &patient{}, slog.New(slog.DiscardHandler))
	assert.ErrorContains(t, err, "listen for health probes")
}

func TestNoAddressMeansNoPort(t *testing.T) {
	h, err := newHealthServer("", &patient{}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	assert.NoError(t, h.Run(t.Context()))
}
