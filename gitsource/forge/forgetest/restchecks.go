package forgetest

import (
	"net/http"
	"slices"
	"time"

	"github.com/sluice-cd/sluice/gitsource/forge"
)

func (c *call) listCheckRuns() (int, any, error) {
	sha, err := c.commit()
	if err != nil {
		return 0, nil, err
	}
	query := c.URL.Query()
	runs := c.repo.checksOn(sha, query.Get("filter") == "all")
	name, app := query.Get("check_name"), int64(queryInt(c, "app_id", 0))
	runs = slices.DeleteFunc(runs, func(run checkRun) bool {
		return name != "" && run.name != name || app != 0 && run.app.ID != app
	})
	shown := []object{}
	for _, run := range page(c, runs) {
		shown = append(shown, c.server.checkRun(c.repo, run))
	}
	return http.StatusOK, object{"total_count": len(runs), "check_runs": shown}, nil
}

// checksOn is newest first; without all, the latest of each App and name.
func (r *Repository) checksOn(commit string, all bool) []checkRun {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	type key struct {
		app  int64
		name string
	}
	seen := map[key]bool{}
	var runs []checkRun
	for _, run := range slices.Backward(r.checks) {
		k := key{run.app.ID, run.name}
		if run.commit == commit && (all || !seen[k]) {
			seen[k] = true
			runs = append(runs, *run)
		}
	}
	return runs
}

// A checkRequest is the body of a request to make or change a check run.
type checkRequest struct {
	Name        string    `json:"name"`
	HeadSHA     string    `json:"head_sha"`
	Status      string    `json:"status"`
	Conclusion  string    `json:"conclusion"`
	ExternalID  string    `json:"external_id"`
	DetailsURL  string    `json:"details_url"`
	StartedAt   time.Time `json:"started_at"`
	CompletedAt time.Time `json:"completed_at"`
	Output      struct {
		Title   string `json:"title"`
		Summary string `json:"summary"`
	} `json:"output"`
}

func (c *call) callingApp() (App, error) {
	app, found := c.server.appOf(c.user)
	if !found {
		return App{}, &refusal{code: 403, message: "You must authenticate via a GitHub App."}
	}
	return app, nil
}

func (c *call) createCheckRun() (int, any, error) {
	var want checkRequest
	if err := c.decode(&want); err != nil {
		return 0, nil, err
	}
	app, err := c.callingApp()
	if err != nil {
		return 0, nil, err
	}
	if _, err := c.repo.git.SHA(want.HeadSHA); err != nil || want.Name == "" {
		return 0, nil, unprocessable("No commit found for SHA: " + want.HeadSHA)
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	made := c.repo.addCheckLocked(app, forge.Check{
		Commit: want.HeadSHA, Name: want.Name, Status: want.Status, Conclusion: want.Conclusion, ExternalID: want.ExternalID,
		URL: want.DetailsURL, StartedAt: want.StartedAt, CompletedAt: want.CompletedAt,
	})
	made.title, made.summary = want.Output.Title, want.Output.Summary
	return http.StatusCreated, c.server.checkRun(c.repo, *made), nil
}

func (c *call) updateCheckRun() (int, any, error) {
	var want checkRequest
	if err := c.decode(&want); err != nil {
		return 0, nil, err
	}
	app, err := c.callingApp()
	if err != nil {
		return 0, nil, err
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	at := slices.IndexFunc(c.repo.checks, func(run *checkRun) bool { return run.id == c.number("id") && run.app.ID == app.ID })
	if at < 0 {
		return 0, nil, missing()
	}
	run := c.repo.checks[at]
	if run.status == "completed" && want.Status != "" && want.Status != "completed" {
		return 0, nil, unprocessable("status: a completed run stays completed")
	}
	if want.ExternalID != "" {
		run.externalID = want.ExternalID
	}
	if want.Status != "" {
		run.status, run.conclusion, run.completedAt = want.Status, "", time.Time{}
	}
	run.conclusion = want.Conclusion
	if want.Output.Title != "" {
		run.title, run.summary = want.Output.Title, want.Output.Summary
	}
	run.settle(c.server.now())
	return http.StatusOK, c.server.checkRun(c.repo, *run), nil
}

func (c *call) createStatus() (int, any, error) {
	var want struct {
		State       string `json:"state"`
		Context     string `json:"context"`
		Description string `json:"description"`
		TargetURL   string `json:"target_url"`
	}
	if err := c.decode(&want); err != nil {
		return 0, nil, err
	}
	if !c.repo.mayWrite(c.user) {
		return 0, nil, &refusal{code: 403, message: "Resource not accessible by this account"}
	}
	switch forge.StatusState(want.State) {
	case forge.StatusPending, forge.StatusSuccess, forge.StatusFailure, forge.StatusError:
	default:
		return 0, nil, unprocessable("state: invalid")
	}
	if want.Context == "" {
		want.Context = "default"
	}
	made, err := c.repo.setStatus(c.user, c.PathValue("ref"), forge.Status{
		Context: want.Context, State: forge.StatusState(want.State), Description: want.Description, URL: want.TargetURL,
	})
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, c.server.statusWithCreator(c.repo, made), nil
}

func (c *call) listStatuses() (int, any, error) {
	sha, err := c.commit()
	if err != nil {
		return 0, nil, err
	}
	shown := []object{}
	for _, set := range page(c, c.repo.statusesOn(sha)) {
		shown = append(shown, c.server.statusWithCreator(c.repo, set))
	}
	return http.StatusOK, shown, nil
}

func (r *Repository) statusesOn(commit string) []*status {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	var found []*status
	for _, set := range slices.Backward(r.statuses) {
		if set.commit == commit {
			found = append(found, set)
		}
	}
	return found
}

func (c *call) combinedStatus() (int, any, error) {
	sha, err := c.commit()
	if err != nil {
		return 0, nil, err
	}
	c.server.mu.Lock()
	latest := c.repo.latestStatusesLocked(sha)
	c.server.mu.Unlock()
	shown := []object{}
	for _, set := range page(c, latest) {
		shown = append(shown, c.server.status(c.repo, set))
	}
	self := c.server.repoURL(c.repo)
	return http.StatusOK, object{
		"state": combine(latest), "sha": sha, "total_count": len(latest), "statuses": shown,
		"repository": c.server.repository(c.repo), "commit_url": self + "/commits/" + sha, "url": self + "/commits/" + sha + "/status",
	}, nil
}

func combine(latest []*status) string {
	state := "success"
	for _, set := range latest {
		switch set.State {
		case forge.StatusFailure, forge.StatusError:
			return "failure"
		case forge.StatusPending:
			state = "pending"
		case forge.StatusSuccess: // counts where nothing else is said
		}
	}
	if len(latest) == 0 {
		return "pending"
	}
	return state
}
