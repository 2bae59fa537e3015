package forgetest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Attest keeps a bundle for a digest in the repository. Like GitHub's own API it
// takes what it is given: whether a signature is right is for readers to find out.
func (r *Repository) Attest(digest string, bundle []byte) {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	if r.attested == nil {
		r.attested = map[string][]json.RawMessage{}
	}
	r.attested[digest] = append(r.attested[digest], bundle)
}

// AttestBuild keeps what a workflow of the repository attests after it has built a
// digest from a commit. Nobody signed it.
func (r *Repository) AttestBuild(digest, commit string) {
	payload := base64.StdEncoding.EncodeToString(r.Statement(digest, commit))
	r.Attest(digest, fmt.Appendf(nil, `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"tlogEntries":[]},`+
		`"dsseEnvelope":{"payload":%q,"payloadType":"application/vnd.in-toto+json","signatures":[{"sig":""}]}}`, payload))
}

// Statement is an in-toto statement that a workflow of the repository built a
// digest from a commit.
func (r *Repository) Statement(digest, commit string) []byte {
	home := r.server.URL + "/" + r.opts.FullName
	return fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"image","digest":{"sha256":%q}}],`+
		`"predicateType":"https://slsa.dev/provenance/v1","predicate":{"buildDefinition":{"buildType":"https://actions.github.io/buildtypes/workflow/v1",`+
		`"externalParameters":{"workflow":{"ref":"refs/heads/main","repository":%q,"path":".github/workflows/build.yml"}},`+
		`"resolvedDependencies":[{"uri":%q,"digest":{"gitCommit":%q}}]},"runDetails":{"builder":{"id":%q}}}}`,
		strings.TrimPrefix(digest, "sha256:"), home, "git+"+home+"@refs/heads/main", commit, home+"/.github/workflows/build.yml@refs/heads/main")
}

// listAttestations has pages by a cursor: the number of attestations before it.
func (c *call) listAttestations() (int, any, error) {
	digest := c.PathValue("digest")
	if !strings.HasPrefix(digest, "sha256:") {
		return 0, nil, unprocessable("subject_digest: invalid")
	}
	c.server.mu.Lock()
	kept := c.repo.attested[digest]
	c.server.mu.Unlock()
	from := min(queryInt(c, "after", 0), len(kept))
	to := min(from+c.pageSize(), len(kept))
	shown := []object{}
	for _, bundle := range kept[from:to] {
		shown = append(shown, object{
			"bundle": bundle, "repository_id": c.repo.id, "initiator": "user",
			"bundle_url": c.server.URL + "/bundle",
		})
	}
	if to < len(kept) {
		query := c.URL.Query()
		query.Set("after", fmt.Sprint(to))
		c.setLinks([]string{c.link("next", query)})
	}
	return http.StatusOK, object{"attestations": shown}, nil
}

// ID is the repository's number.
func (r *Repository) ID() int64 { return r.id }
