package gitsource

import (
	"bytes"
	"crypto/sha1" // git's own checksum, against damage only
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// errDamaged marks what a fresh clone may cure: local data that does not check
// out, or objects that a server left out.
var errDamaged = errors.New("mirror is damaged")

// addPack stores a pack and its index below dir and returns the pack's name.
// It goes through a file of our own: go-git's writer leaks descriptors and
// temporary files when a stream breaks off, and never syncs.
func addPack(dir string, r io.Reader, maxBytes int64) (name string, err error) {
	packs := filepath.Join(dir, "objects", "pack")
	tmp, err := os.CreateTemp(packs, "tmp_pack_")
	if err != nil {
		return "", err
	}
	defer func() {
		_ = tmp.Close()
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	if _, err := io.Copy(tmp, &limitReader{r: r, left: maxBytes}); err != nil {
		return "", fmt.Errorf("receive pack: %w", err)
	}
	sum, err := checksum(tmp)
	if err != nil {
		return "", fmt.Errorf("receive pack: %w", err)
	}
	if err := survey(tmp, maxBytes*maxInflation); err != nil {
		return "", fmt.Errorf("check pack: %w", err)
	}
	name = fmt.Sprintf("pack-%x", sum)
	if err := writeIndex(tmp, filepath.Join(packs, name+".idx")); err != nil {
		return "", fmt.Errorf("index pack: %w", err)
	}
	if err := tmp.Sync(); err != nil {
		return "", err
	}
	return name, os.Rename(tmp.Name(), filepath.Join(packs, name+".pack"))
}

// checksum verifies the SHA-1 that ends a pack or an index, and returns it.
func checksum(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	body := info.Size() - sha1.Size
	if body <= 0 {
		return nil, fmt.Errorf("%w: %s is too short", errDamaged, filepath.Base(f.Name()))
	}
	sum := sha1.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, body)); err != nil {
		return nil, err
	}
	want := make([]byte, sha1.Size)
	if _, err := f.ReadAt(want, body); err != nil {
		return nil, err
	}
	if got := sum.Sum(nil); !bytes.Equal(got, want) {
		return nil, fmt.Errorf("%w: checksum of %s does not match", errDamaged, filepath.Base(f.Name()))
	}
	return want, nil
}

// survey reads a pack once with constant memory and refuses it when unpacking
// would take too much: the parser trusts the counts and sizes in it.
func survey(f *os.File, maxInflated int64) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	s := packfile.NewScanner(f)
	_, count, err := s.Header()
	if err != nil {
		return err
	}
	if count > maxPackObjects {
		return fmt.Errorf("%w: pack of %d objects", errTooLarge, count)
	}
	var total int64
	for range count {
		h, err := s.NextObjectHeader()
		if err != nil {
			return err
		}
		size, err := inflatedSize(s, h)
		if err != nil {
			return err
		}
		if size > maxObjectBytes {
			return fmt.Errorf("%w: object of %d bytes", errTooLarge, size)
		}
		if total += size; total > maxInflated {
			return fmt.Errorf("%w: pack unpacks to more than %d bytes", errTooLarge, maxInflated)
		}
	}
	return nil
}

// inflatedSize is an object's size; a delta's is what it says it makes of its
// base, which the parser holds it to.
func inflatedSize(s *packfile.Scanner, h *packfile.ObjectHeader) (int64, error) {
	if h.Length > maxObjectBytes || h.Length < 0 {
		return 0, fmt.Errorf("%w: object of %d bytes", errTooLarge, h.Length)
	}
	var head headWriter
	if _, _, err := s.NextObject(&head); err != nil {
		return 0, err
	}
	if !h.Type.IsDelta() {
		return h.Length, nil
	}
	_, n := binary.Uvarint(head.buf) // size of the base
	if n <= 0 {
		return 0, errors.New("malformed delta")
	}
	size, n := binary.Uvarint(head.buf[n:])
	if n <= 0 || size > maxObjectBytes {
		return 0, fmt.Errorf("%w: delta to %d bytes", errTooLarge, size)
	}
	return int64(size), nil
}

// headWriter keeps the first bytes, enough for two variable-length numbers.
type headWriter struct{ buf []byte }

func (w *headWriter) Write(p []byte) (int, error) {
	if room := 2*binary.MaxVarintLen64 - len(w.buf); room > 0 {
		w.buf = append(w.buf, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// writeIndex writes a pack's index before the pack gets its name, so that a
// pack is never found without one.
func writeIndex(pack *os.File, path string) error {
	if _, err := pack.Seek(0, io.SeekStart); err != nil {
		return err
	}
	w := new(idxfile.Writer)
	parser, err := packfile.NewParser(packfile.NewScanner(pack), w)
	if err != nil {
		return err
	}
	if _, err := parser.Parse(); err != nil {
		return err
	}
	idx, err := w.Index()
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	if _, err := idxfile.NewEncoder(&buf).Encode(idx); err != nil {
		return err
	}
	return writeFile(path, buf.Bytes())
}

// writeFile replaces a file so that a crash leaves the old or the new content.
func writeFile(path string, data []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "tmp_")
	if err != nil {
		return err
	}
	defer func() {
		_ = tmp.Close()
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	if _, err := tmp.Write(data); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// packHashes lists the objects of a pack from its index.
func packHashes(dir, name string) ([]plumbing.Hash, error) {
	f, err := os.Open(filepath.Join(dir, "objects", "pack", name+".idx"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	idx := idxfile.NewMemoryIndex()
	if err := idxfile.NewDecoder(f).Decode(idx); err != nil {
		return nil, err
	}
	it, err := idx.Entries()
	if err != nil {
		return nil, err
	}
	var out []plumbing.Hash
	for {
		e, err := it.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, e.Hash)
	}
}

// joinPacks writes the objects of several packs into one, without deltas: they
// are the small packs of single fetches.
func joinPacks(dir string, names []string) (string, error) {
	var hashes []plumbing.Hash
	for _, name := range names {
		more, err := packHashes(dir, name)
		if err != nil {
			return "", err
		}
		hashes = append(hashes, more...)
	}
	slices.SortFunc(hashes, func(a, b plumbing.Hash) int { return bytes.Compare(a[:], b[:]) })
	hashes = slices.Compact(hashes)
	source := openHandle(dir)
	defer source.close()
	pr, pw := io.Pipe()
	go func() {
		_, err := packfile.NewEncoder(pw, source.storage, false).Encode(hashes, 0)
		_ = pw.CloseWithError(err)
	}()
	name, err := addPack(dir, pr, math.MaxInt64/maxInflation) // our own data needs no limit
	_ = pr.CloseWithError(err)
	return name, err
}
