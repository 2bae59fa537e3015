package render_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/sluice-cd/sluice/reconciler/render"
	"github.com/sluice-cd/sluice/schemas"
)

func TestProbesAskWhatTheServicePromises(t *testing.T) {
	digest := "sha256:" + strings.Repeat("6d", 32)
	web := func(path string) *render.Probe { return &render.Probe{Kind: "http", Path: path} }
	promised := schemas.Health{Startup: "/health/startup", Live: "/health/live", Ready: "/health/ready"}
	excepted := promised
	excepted.Reason, excepted.Incident = "speaks gRPC only", "INC-7"
	none := excepted
	none.Startup, none.Live = schemas.NoProbe, schemas.NoProbe
	cases := map[string]struct {
		edit     func(*render.Container)
		promised schemas.Health
		want     []string
	}{
		"all three":              {func(*render.Container) {}, promised, nil},
		"none of them":           {func(c *render.Container) { c.Startup, c.Liveness, c.Readiness = nil, nil, nil }, promised, []string{"no startup probe", "no liveness probe", "no readiness probe"}},
		"another path":           {func(c *render.Container) { c.Readiness = web("/ready") }, promised, []string{"the readiness probe of container app of Deployment/checkout asks http /ready"}},
		"a longer path":          {func(c *render.Container) { c.Liveness = web("/health/live/") }, promised, []string{"asks http /health/live/"}},
		"two swapped":            {func(c *render.Container) { c.Liveness, c.Readiness = c.Readiness, c.Liveness }, promised, []string{"liveness", "readiness"}},
		"gRPC":                   {func(c *render.Container) { c.Liveness = &render.Probe{Kind: "grpc"} }, promised, []string{"asks grpc"}},
		"gRPC, excepted":         {func(c *render.Container) { c.Liveness = &render.Probe{Kind: "grpc"} }, excepted, nil},
		"command":                {func(c *render.Container) { c.Liveness = &render.Probe{Kind: "exec"} }, promised, []string{"asks exec"}},
		"command, excepted":      {func(c *render.Container) { c.Liveness = &render.Probe{Kind: "exec"} }, excepted, nil},
		"a port, excepted":       {func(c *render.Container) { c.Liveness = &render.Probe{Kind: "tcp", Port: "80"} }, excepted, []string{"asks tcp"}},
		"another path, excepted": {func(c *render.Container) { c.Readiness = web("/ready") }, excepted, []string{"asks http /ready"}},
		"none of them, excepted": {func(c *render.Container) { c.Startup, c.Liveness, c.Readiness = nil, nil, nil }, none, []string{"no readiness probe"}},
		"a sidecar":              {func(c *render.Container) { c.Sidecar, c.Startup = true, nil }, promised, nil},
		"a job":                  {func(c *render.Container) { c.Object, c.Startup = "CronJob/checkout", nil }, promised, nil},
		"another image":          {func(c *render.Container) { c.Name, c.Startup = "proxy", nil }, promised, nil},
		"another object":         {func(c *render.Container) { c.Object, c.Startup = "Deployment/mail", nil }, promised, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			container := render.Container{Object: "Deployment/checkout", Name: "app", Startup: web(promised.Startup), Liveness: web(promised.Live), Readiness: web(promised.Ready)}
			c.edit(&container)
			report := render.Report{Containers: []render.Container{container}, Images: []render.Image{
				{Object: "Deployment/checkout", Container: "app", Image: "registry.example.com/checkout@" + digest},
				{Object: "CronJob/checkout", Container: "app", Image: "registry.example.com/checkout@" + digest},
				{Object: "Deployment/checkout", Container: "proxy", Image: "proxy@sha256:" + strings.Repeat("7e", 32)},
			}}
			got := report.Unprobed(map[string]string{"registry.example.com/checkout": digest}, c.promised)
			if assert.Len(t, got, len(c.want), "%v", got) {
				for i, want := range c.want {
					assert.Contains(t, got[i].String(), want)
				}
			}
		})
	}
}
