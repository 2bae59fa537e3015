package forge

// A Report is what Sluice says of a commit, as fully as the forge can show it.
// The status alone has to say enough: not every forge shows more.
type Report struct {
	Status
	// Neutral: nothing is asked of the commit. State is StatusSuccess then, so
	// that whoever requires the report does not wait for ever.
	Neutral bool `json:"neutral,omitempty"`
	// Summary is markdown.
	Summary string `json:"summary,omitempty"`
}

// A Comment is the one that Sluice keeps on a pull request.
type Comment struct {
	// Marker is how the body begins. The comment is found by it, and by who wrote
	// it: anybody may write a marker.
	Marker string
	Body   string // markdown
	// Keep: there is only something to say where something was said before.
	Keep bool
}
