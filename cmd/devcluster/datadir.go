package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// dataDir is the absolute path of everything a cluster writes.
type dataDir string

func (d dataDir) join(elem ...string) string {
	return filepath.Join(append([]string{string(d)}, elem...)...)
}

func (d dataDir) etcd() string                  { return d.join("etcd") }
func (d dataDir) tsdb() string                  { return d.join("tsdb") }
func (d dataDir) targets() string               { return d.join("targets") }
func (d dataDir) logs() string                  { return d.join("logs") }
func (d dataDir) log(component string) string   { return d.join("logs", component+".log") }
func (d dataDir) tokens() string                { return d.join("tokens.csv") }
func (d dataDir) ca() string                    { return d.join("ca.crt") }
func (d dataDir) servingCert() string           { return d.join("apiserver.crt") }
func (d dataDir) servingKey() string            { return d.join("apiserver.key") }
func (d dataDir) serviceAccountKey() string     { return d.join("service-account.key") }
func (d dataDir) kubeconfig(user string) string { return d.join(user + ".kubeconfig") }
func (d dataDir) ready() string                 { return d.join("ready.json") }

// openDataDir makes the directory path, or a temporary one when path is empty.
// made says whether it was created here, so that only such a one is removed.
func openDataDir(path string) (dir dataDir, made bool, err error) {
	if path == "" {
		path, err = os.MkdirTemp("", "devcluster-")
		made = true
	} else {
		_, statErr := os.Stat(path)
		made = os.IsNotExist(statErr)
		err = os.MkdirAll(path, 0o700)
	}
	if err != nil {
		return "", false, fmt.Errorf("make data directory: %w", err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", false, fmt.Errorf("make data directory: %w", err)
	}
	dir = dataDir(path)
	for _, sub := range []string{dir.etcd(), dir.targets(), dir.logs()} {
		// etcd refuses a directory that others can read.
		if err := os.MkdirAll(sub, 0o700); err != nil {
			return "", false, fmt.Errorf("make data directory: %w", err)
		}
	}
	return dir, made, nil
}

// writeJSON writes v to path in one step: a reader sees all of it or nothing.
func writeJSON(path string, v any) error {
	content, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = tmp.Write(append(content, '\n'))
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
