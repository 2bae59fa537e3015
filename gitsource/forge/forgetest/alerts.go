package forgetest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// A Finding is one result of a code scanner.
type Finding struct {
	Rule string
	// Security is "critical", "high", "medium" or "low"; "" for a rule that is not
	// about security, which has a Level of "error", "warning" or "note" alone.
	Security, Level string
}

type analysis struct {
	id                        int64
	ref, commit, tool, failed string
	results                   int
	at                        time.Time
}

type alert struct {
	number                      int
	ref, commit, tool           string
	finding                     Finding
	createdAt, fixedAt, updated time.Time
	dismissed                   bool
}

// Scan is what a scanner's upload for a commit of a branch does: what is found for
// the first time becomes an alert, and what is not found any more is fixed. As at
// GitHub, that happens a little after the analysis is there.
func (r *Repository) Scan(branch, commit, tool string, findings ...Finding) {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	ref := "refs/heads/" + branch
	r.analyses = append(r.analyses, analysis{
		id: r.server.nextIDLocked(), ref: ref, commit: commit, tool: tool, results: len(findings), at: r.server.now(),
	})
	for _, a := range r.alerts {
		if a.ref == ref && a.tool == tool && a.fixedAt.IsZero() && !slices.Contains(findings, a.finding) {
			a.fixedAt = r.server.now()
			a.updated = a.fixedAt
		}
	}
	for _, f := range findings {
		r.findLocked(ref, commit, tool, f)
	}
}

func (r *Repository) findLocked(ref, commit, tool string, f Finding) {
	at := slices.IndexFunc(r.alerts, func(a *alert) bool { return a.ref == ref && a.tool == tool && a.finding == f })
	if at >= 0 {
		r.alerts[at].fixedAt, r.alerts[at].commit = time.Time{}, commit
		return
	}
	now := r.server.now()
	r.alerts = append(r.alerts, &alert{
		number: len(r.alerts) + 1, ref: ref, commit: commit, tool: tool, finding: f, createdAt: now, updated: now,
	})
}

// FailScan is an upload that could not be read.
func (r *Repository) FailScan(branch, commit, tool string) {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	r.analyses = append(r.analyses, analysis{
		id: r.server.nextIDLocked(), ref: "refs/heads/" + branch, commit: commit, tool: tool, failed: "error reading field results", at: r.server.now(),
	})
}

// DismissAlert is a person's word that an alert is none.
func (r *Repository) DismissAlert(number int) {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	r.alerts[number-1].dismissed = true
}

func (c *call) listAnalyses() (int, any, error) {
	c.server.mu.Lock()
	all := slices.Clone(c.repo.analyses)
	c.server.mu.Unlock()
	if len(all) == 0 {
		return 0, nil, &refusal{code: 404, message: "no analysis found"}
	}
	var fit []analysis
	for _, a := range slices.Backward(all) {
		if ref := c.URL.Query().Get("ref"); ref == "" || ref == a.ref {
			fit = append(fit, a)
		}
	}
	shown := []object{}
	for _, a := range page(c, fit) {
		shown = append(shown, object{
			"id": a.id, "ref": a.ref, "commit_sha": a.commit, "analysis_key": ".github/workflows/scan.yml:scan", "environment": "{}",
			"category": "", "error": a.failed, "warning": "", "created_at": instant(a.at), "results_count": a.results, "rules_count": 10,
			"url": c.server.repoURL(c.repo) + "/code-scanning/analyses/" + strconv.FormatInt(a.id, 10), "sarif_id": "sarif", "deletable": true,
			"tool": tool(a.tool),
		})
	}
	return http.StatusOK, shown, nil
}

func tool(name string) object { return object{"name": name, "guid": nil, "version": "1"} }

func (c *call) listAlerts() (int, any, error) {
	c.server.mu.Lock()
	var all []alert
	for _, a := range c.repo.alerts {
		all = append(all, *a)
	}
	scanned := len(c.repo.analyses) > 0
	c.server.mu.Unlock()
	if !scanned {
		return 0, nil, &refusal{code: 404, message: "no analysis found"}
	}
	query := c.URL.Query()
	slices.SortStableFunc(all, func(a, b alert) int { return b.updated.Compare(a.updated) })
	all = slices.DeleteFunc(all, func(a alert) bool {
		return query.Get("state") != "" && query.Get("state") != a.state() || query.Get("ref") != "" && query.Get("ref") != a.ref
	})
	shown := []object{}
	for _, a := range page(c, all) {
		shown = append(shown, c.alert(a))
	}
	return http.StatusOK, shown, nil
}

func (a alert) state() string {
	switch {
	case a.dismissed:
		return "dismissed"
	case !a.fixedAt.IsZero():
		return "fixed"
	}
	return "open"
}

func (c *call) alert(a alert) object {
	self := fmt.Sprintf("%s/code-scanning/alerts/%d", c.server.repoURL(c.repo), a.number)
	shown := object{
		"number": a.number, "created_at": instant(a.createdAt), "updated_at": instant(a.updated), "url": self,
		"html_url":      fmt.Sprintf("%s/%s/security/code-scanning/%d", c.server.URL, c.repo.opts.FullName, a.number),
		"instances_url": self + "/instances", "state": a.state(), "fixed_at": instant(a.fixedAt),
		"dismissed_by": nil, "dismissed_at": nil, "dismissed_reason": nil, "dismissed_comment": nil,
		"rule": object{
			"id": a.finding.Rule, "name": a.finding.Rule, "severity": orNull(a.finding.Level), "description": a.finding.Rule,
			"security_severity_level": orNull(a.finding.Security), "tags": []string{},
		},
		"tool": tool(a.tool),
		"most_recent_instance": object{
			"ref": a.ref, "analysis_key": ".github/workflows/scan.yml:scan", "environment": "{}", "category": "", "state": a.state(),
			"commit_sha": a.commit, "message": object{"text": a.finding.Rule}, "classifications": []string{},
			"location": object{"path": "main.go", "start_line": 1, "end_line": 1, "start_column": 1, "end_column": 2},
		},
	}
	if a.dismissed {
		shown["dismissed_by"], shown["dismissed_at"], shown["dismissed_reason"] = c.server.person(c.user), instant(a.updated), "false positive"
	}
	return shown
}

// listBranches is by name.
func (c *call) listBranches() (int, any, error) {
	tips, err := c.repo.branches()
	if err != nil {
		return 0, nil, err
	}
	var names []string
	for name := range tips {
		if c.URL.Query().Get("protected") != "true" || c.repo.protected(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	shown := []object{}
	for _, name := range page(c, names) {
		shown = append(shown, object{
			"name": name, "protected": c.repo.protected(name),
			"commit": object{"sha": tips[name], "url": c.server.repoURL(c.repo) + "/commits/" + tips[name]},
		})
	}
	return http.StatusOK, shown, nil
}
