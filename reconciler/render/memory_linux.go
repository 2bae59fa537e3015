package render

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// limitMemory has the kernel refuse this process more than bytes on top of
// what it has. RLIMIT_DATA counts what is writable; RLIMIT_AS would count the
// address space that Go reserves, and end the process at once.
func limitMemory(bytes int64) error {
	used, err := dataSize()
	if err != nil {
		return err
	}
	limit := syscall.Rlimit{Cur: used + uint64(bytes), Max: used + uint64(bytes)}
	if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &limit); err != nil {
		return fmt.Errorf("limit memory to %d bytes: %w", limit.Cur, err)
	}
	return nil
}

// dataSize is what RLIMIT_DATA counts now, in bytes.
func dataSize() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("read memory use: %w", err)
	}
	for line := range bytes.Lines(status) {
		fields := bytes.Fields(line)
		if len(fields) == 3 && string(fields[0]) == "VmData:" {
			kib, err := strconv.ParseUint(string(fields[1]), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read memory use: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("read memory use: no VmData in /proc/self/status")
}
