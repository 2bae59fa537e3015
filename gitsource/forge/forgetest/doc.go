// Package forgetest is a GitHub that fits into a process: the REST endpoints
// that Sluice and its users need, and git over HTTP, in one http.Handler. Tests
// and the demo run against it.
//
// Nothing about git is imitated. Every repository is a real bare repository
// (package gittest) and pull requests are really merged by git; refs/pull/N/head
// and refs/pull/N/merge are there to fetch. What the REST API says is derived
// from the repository and from the little state that GitHub keeps beside it:
// pull requests, their reviews and changes of base, check runs, statuses, comments,
// activity, people. Its answers have the shape of GitHub's own OpenAPI
// description; package contract holds them to it.
//
// Who calls decides who acts: the token names the user or the App. Rules that
// GitHub enforces for everybody hold here too (no approval of one's own pull
// request, no merge of a closed or conflicting one, check runs by Apps alone).
// RepositoryOptions.Protected is a flag without effect; Repository.Protect makes a
// branch refuse pushes, by git and by REST, and lets pull requests through.
//
// REST is served under /api/v3, as GitHub Enterprise Server does, and git under
// /{owner}/{repo}.git. A Server is safe for concurrent use.
//
// It has no web pages, no webhooks, no GraphQL, no issues but the
// comments on pull requests, and no search.
package forgetest
