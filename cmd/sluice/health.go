package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	// healthHeaders is generous for a probe, and short for who sends nothing.
	healthHeaders = 5 * time.Second
	// healthGrace is how long answers that are under way may take at the end.
	healthGrace = time.Second
)

// A vital is what the probes ask.
type vital interface {
	// Started reports whether the start has come to its end.
	Started() bool
	// Stuck says what a restart would mend; "" for nothing.
	Stuck(now time.Time) string
	// Unready says why nothing can be released; "" when it can.
	Unready(now time.Time) string
}

// A healthServer answers probes. Without an address it does nothing.
type healthServer struct {
	listener net.Listener
	server   *http.Server
}

// newHealthServer opens the port, so that one that is taken ends the start.
func newHealthServer(address string, v vital, log *slog.Logger) (*healthServer, error) {
	if address == "" {
		return &healthServer{}, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for health probes: %w", err)
	}
	return &healthServer{listener: listener, server: &http.Server{
		Handler: healthHandler(v), ReadHeaderTimeout: healthHeaders,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}, nil
}

// Run answers until the context ends.
func (h *healthServer) Run(ctx context.Context) error {
	if h.server == nil {
		return nil
	}
	stop := context.AfterFunc(ctx, func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthGrace)
		defer cancel()
		_ = h.server.Shutdown(ending)
	})
	defer stop()
	if err := h.server.Serve(h.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("answer health probes: %w", err)
	}
	return nil
}

func healthHandler(v vital) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health/startup", func(w http.ResponseWriter, _ *http.Request) {
		reason := ""
		if !v.Started() {
			reason = "the records are being read"
		}
		answerHealth(w, reason)
	})
	mux.HandleFunc("GET /health/live", func(w http.ResponseWriter, _ *http.Request) {
		answerHealth(w, v.Stuck(time.Now()))
	})
	mux.HandleFunc("GET /health/ready", func(w http.ResponseWriter, _ *http.Request) {
		answerHealth(w, v.Unready(time.Now()))
	})
	return mux
}

// answerHealth is 200, or 503 with the reason.
func answerHealth(w http.ResponseWriter, reason string) {
	answer := struct {
		Status string `json:"status"`
		Reason string `json:"reason,omitempty"`
	}{"ok", reason}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if reason != "" {
		answer.Status = "unavailable"
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer) // whoever has hung up asks again
}
