package gitsource

// The parsers see bytes of strangers, so they are fuzzed directly.

// ReencodeTree parses a tree and writes it again.
func ReencodeTree(data []byte) ([]byte, error) {
	entries, err := parseTree(data)
	return encodeTree(entries), err
}

// SplitCommit parses a commit into what is signed and the signature.
func SplitCommit(data []byte) (payload, signature []byte, err error) {
	c, err := parseCommit(data)
	return c.payload, c.signature, err
}
