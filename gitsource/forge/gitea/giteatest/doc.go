// Package giteatest runs a real Gitea on a loopback port, for tests.
//
// The server's binary is bin/gitea below the module's root (make bin/gitea
// builds it from .ci/gitea) or where the environment variable SLUICE_GITEA
// says. Where it is missing, the test is skipped and says so, unless the
// environment variable CI or SLUICE_REQUIRE_GITEA is set: then it fails.
//
// A Server has a directory of its own with an SQLite database, sends nothing to
// the network, and ends with the test, also when the test's process dies.
// Everybody acts through Do: the request is made with the site administrator's
// token in the name of the user. A Server is safe for concurrent use.
package giteatest
