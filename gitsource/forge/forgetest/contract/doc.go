// Package contract holds exchanges with a GitHub, real or fake, to GitHub's own
// OpenAPI description: the requests as well as the answers.
//
// The description is large and not part of the repository. It is expected in
// .cache/openapi/api.github.com.json below the module's root, or where the
// environment variable SLUICE_OPENAPI says. Where it is missing, exchanges pass
// unchecked and the test says so in its log, unless the environment variable CI
// or SLUICE_REQUIRE_OPENAPI is set: then the test fails.
//
// A transport may be shared by goroutines. The description is read once in a
// process.
package contract
