package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// stopGrace is how long a component gets between SIGTERM and SIGKILL. Nothing
	// in them is worth more: the data is thrown away, or survives a kill.
	stopGrace = 2 * time.Second
	// logTail is how much of a dead component's log is shown, in bytes.
	logTail = 4 << 10
)

// A process is one running component. exited is closed after the child was
// reaped; err is valid from then on.
type process struct {
	name   string
	log    string
	cmd    *exec.Cmd
	life   *os.File
	ready  chan string
	exited chan struct{}
	err    error
}

// startProcess starts this binary again as the component name. listener may be
// nil; it belongs to the child afterwards.
func startProcess(d dataDir, name string, args []string, listener *os.File) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own binary: %w", err)
	}
	log, err := os.Create(d.log(name))
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer func() { _ = log.Close() }() // the child has its own, as of the pipes' ends
	lifeRead, lifeWrite, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer func() { _ = lifeRead.Close() }()
	readyRead, readyWrite, err := os.Pipe()
	if err != nil {
		_ = lifeWrite.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	defer func() { _ = readyWrite.Close() }()

	cmd := exec.Command(self, append([]string{name}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{lifeRead, readyWrite}
	if listener != nil {
		cmd.ExtraFiles = append(cmd.ExtraFiles, listener)
	}
	// A group of its own: Ctrl-C in a terminal goes to the whole foreground group,
	// and the parent wants to end the children in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		_, _ = lifeWrite.Close(), readyRead.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &process{
		name: name, log: log.Name(), cmd: cmd, life: lifeWrite,
		ready: make(chan string, 1), exited: make(chan struct{}),
	}
	go p.readReady(readyRead)
	go p.wait()
	return p, nil
}

// readReady hands over the child's ready line; a child that ends without one
// leaves the channel empty, and exited tells.
func (p *process) readReady(r io.ReadCloser) {
	defer r.Close()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err == nil {
		p.ready <- strings.TrimSpace(line)
	}
}

func (p *process) wait() {
	p.err = p.cmd.Wait()
	close(p.exited)
}

// stop ends the child: politely, then by force. It returns when it is reaped.
func (p *process) stop(grace time.Duration) {
	defer func() { _ = p.life.Close() }()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
		return
	case <-time.After(grace):
	}
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// death describes why the child ended, with the end of its log.
func (p *process) death() error {
	reason := "exit code 0"
	if p.err != nil {
		reason = p.err.Error()
	}
	return fmt.Errorf("%s ended: %s\n%s", p.name, reason, tail(p.log))
}

func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Size() > logTail {
		_, _ = f.Seek(-logTail, io.SeekEnd)
	}
	content, err := io.ReadAll(f)
	if err != nil && !errors.Is(err, io.EOF) {
		return err.Error()
	}
	return strings.TrimSpace(string(content))
}
