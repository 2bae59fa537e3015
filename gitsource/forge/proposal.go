package forge

// A Proposal is a pull request that Sluice opens for a branch of its own.
type Proposal struct {
	// Head is the branch with the change, Base the one that it goes into.
	Head, Base  string
	Title, Body string
	// Series is how the heads of all proposals begin of which only the newest is
	// wanted.
	Series string
}

// A Merge merges a pull request as long as its head is still the one that was
// looked at. Title and Message are those of the commit, where the way in which
// the forge merges makes one.
type Merge struct {
	Number         int
	Head           string // full SHA
	Title, Message string
}
