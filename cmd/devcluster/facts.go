package main

import "os"

// facts is the content of the ready file: the contract with whoever started the
// cluster. Fields are added, never renamed or removed.
type facts struct {
	// Kubeconfig is the path of the administrator's kubeconfig.
	Kubeconfig string `json:"kubeconfig"`
	// Kubeconfigs maps each user to the path of a kubeconfig: admin (system:masters),
	// sluice and alice (no groups, no rights until RBAC objects give some).
	Kubeconfigs map[string]string `json:"kubeconfigs"`
	// Server is the URL of the API server.
	Server string `json:"server"`
	// Prometheus is the base URL of the Prometheus API.
	Prometheus string `json:"prometheus"`
	// Targets is the directory watched for file_sd JSON files.
	Targets string `json:"targets"`
	// Data is the directory of all of it; logs are in its folder logs.
	Data string `json:"data"`
	// PIDs are the process ids: devcluster itself and one for each component.
	PIDs map[string]int `json:"pids"`

	readyFile string
}

func (c *cluster) facts(server, prometheus string) facts {
	f := facts{
		Kubeconfig:  c.data.kubeconfig(adminUser),
		Kubeconfigs: map[string]string{},
		Server:      server,
		Prometheus:  prometheus,
		Targets:     c.data.targets(),
		Data:        string(c.data),
		readyFile:   c.readyFile(),
		PIDs:        map[string]int{"devcluster": os.Getpid()},
	}
	for _, u := range users() {
		f.Kubeconfigs[u.name] = c.data.kubeconfig(u.name)
	}
	for _, p := range c.processes {
		f.PIDs[p.name] = p.cmd.Process.Pid
	}
	return f
}
