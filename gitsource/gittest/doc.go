// Package gittest serves a real bare git repository over smart HTTP from
// inside the process, for tests, fakes and the demo.
//
// Nothing is imitated: git-http-backend answers the requests, so protocol,
// packs and rejections are git's own. The git command is therefore required.
// On top of it a Server counts requests, injects faults (refusals, cut
// connections, delays, half packs), asks for credentials, and builds history:
// commits, the three ways of merging, force pushes, pull request refs.
//
// A Server is safe for concurrent use. Writing helpers are atomic on the
// reference that they move, like a push: a loser gets an error.
//
// It does not speak SSH, and it knows nothing of forges.
package gittest
