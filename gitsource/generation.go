package gitsource

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// A generation is one bare repository, <number>.git in the mirror's directory.
// A fresh clone becomes the next number and is used once its manifest, which is
// written last, names its packs. Real git can read it.
const (
	generationSuffix = ".git"
	manifestName     = "sluice-packs"
)

// generations lists the numbers that exist, newest first.
func generations(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []int
	for _, e := range entries {
		n, err := strconv.Atoi(strings.TrimSuffix(e.Name(), generationSuffix))
		if err == nil && strings.HasSuffix(e.Name(), generationSuffix) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	slices.Reverse(out)
	return out, nil
}

func generationDir(dir string, n int) string {
	return filepath.Join(dir, strconv.Itoa(n)+generationSuffix)
}

// createGeneration makes an empty bare repository.
func createGeneration(dir, branch string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for _, sub := range []string{"objects/pack", "refs/heads"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	if err := writeFile(filepath.Join(dir, "HEAD"), []byte("ref: refs/heads/"+branch+"\n")); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, "config"), []byte("[core]\n\trepositoryformatversion = 0\n\tbare = true\n"))
}

// record saves what the generation consists of; the branch goes last, so a
// crash between the two leaves an older tip with packs to spare. Without a tip
// the generation serves until the process ends.
func record(dir, branch string, packs []string, tip plumbing.Hash) error {
	manifest := strings.Join(packs, "\n") + "\n"
	if err := writeFile(filepath.Join(dir, manifestName), []byte(manifest)); err != nil {
		return err
	}
	if tip.IsZero() {
		return nil
	}
	ref := filepath.Join(dir, "refs", "heads", filepath.FromSlash(branch))
	if err := os.MkdirAll(filepath.Dir(ref), 0o755); err != nil {
		return err
	}
	return writeFile(ref, []byte(tip.String()+"\n"))
}

// load reads a generation back and checks every byte of it: a pack that was cut
// short or a flipped bit is found here rather than in the middle of a release.
func load(dir, branch string) (packs []string, tip plumbing.Hash, err error) {
	manifest, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		return nil, tip, fmt.Errorf("%w: %w", errDamaged, err)
	}
	ref, err := os.ReadFile(filepath.Join(dir, "refs", "heads", filepath.FromSlash(branch)))
	if err != nil {
		return nil, tip, fmt.Errorf("%w: %w", errDamaged, err)
	}
	text := strings.TrimSpace(string(ref))
	if !plumbing.IsHash(text) {
		return nil, tip, fmt.Errorf("%w: branch file holds %q", errDamaged, text)
	}
	packs = strings.Fields(string(manifest))
	for _, name := range packs {
		if err := checkPack(dir, name); err != nil {
			return nil, tip, err
		}
	}
	return packs, plumbing.NewHash(text), dropStrangers(dir, packs)
}

func checkPack(dir, name string) error {
	base := filepath.Join(dir, "objects", "pack", filepath.Base(name))
	for _, suffix := range []string{".pack", ".idx"} {
		f, err := os.Open(base + suffix)
		if err != nil {
			return fmt.Errorf("%w: %w", errDamaged, err)
		}
		_, err = checksum(f)
		_ = f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// dropStrangers removes packs that were received but never recorded: their
// objects were not verified, and temporary files of a process that was killed.
func dropStrangers(dir string, packs []string) error {
	known := map[string]bool{}
	for _, name := range packs {
		known[name+".pack"], known[name+".idx"] = true, true
	}
	folder := filepath.Join(dir, "objects", "pack")
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		if !known[e.Name()] {
			errs = append(errs, os.Remove(filepath.Join(folder, e.Name())))
		}
	}
	return errors.Join(errs...)
}
