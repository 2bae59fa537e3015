package main

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/sluice-cd/sluice/gitsource"
	"github.com/sluice-cd/sluice/gitsource/forge/gitea"
	"github.com/sluice-cd/sluice/gitsource/forge/github"
	"github.com/sluice-cd/sluice/gitsource/forge/gitlab"
	"github.com/sluice-cd/sluice/reconciler"
	"github.com/sluice-cd/sluice/reconciler/environments"
	"github.com/sluice-cd/sluice/reconciler/restore"
	"github.com/sluice-cd/sluice/schemas"
)

// A forgeDriver tells what a forge knows and what people there should know, and
// works with pull requests.
type forgeDriver interface {
	environments.Forge
	reconciler.Announcer
	restore.Proposer
}

// A gitAuthenticator has a short-lived token for git's own protocol.
type gitAuthenticator interface {
	Token(ctx context.Context) (string, error)
}

// newForge also returns who makes commits through the forge's API; nil where
// they are pushed.
func newForge(cfg schemas.DaemonForge, log *slog.Logger) (forgeDriver, gitsource.Pusher, error) {
	switch cfg.Kind {
	case schemas.ForgeGitea:
		hub, err := gitea.New(gitea.Config{
			BaseURL: cfg.URL, Repository: cfg.Repository, TokenFile: cfg.TokenFile,
			WriteInterval: cfg.WriteInterval.Std(), Log: log, Transport: http.DefaultTransport,
		})
		return hub, nil, err
	case schemas.ForgeGitLab:
		hub, err := gitlab.New(gitlab.Config{
			BaseURL: cfg.URL, Repository: cfg.Repository, TokenFile: cfg.TokenFile,
			WriteInterval: cfg.WriteInterval.Std(), Log: log, Transport: http.DefaultTransport,
		})
		return hub, nil, err
	}
	hub, err := github.New(github.Config{
		BaseURL: cfg.URL, Repository: cfg.Repository, TokenFile: cfg.TokenFile,
		AppID: int64(cfg.AppID), InstallationID: int64(cfg.InstallationID), PrivateKeyFile: cfg.PrivateKeyFile,
		WriteInterval: cfg.WriteInterval.Std(), Log: log, Transport: http.DefaultTransport,
	})
	return hub, hub, err
}
