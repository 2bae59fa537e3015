package forge

// A Comparison is what one commit of a repository has beyond another one.
type Comparison struct {
	// Commits are in the one and not in the other, oldest first. More than the
	// forge lists is ErrTooManyCommits instead.
	Commits []PullRequestCommit
	// Behind is how many commits the other has that the one has not.
	Behind int
}
