package main

import (
	"bytes"
	"crypto/rand"
	"encoding/csv"
	"fmt"
	"os"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const adminUser = "admin"

// A user is one line of the token file. Only groups give rights: whoever has none
// can do what RBAC objects say, which at the start is discovery.
type user struct {
	name   string
	groups string
}

func users() []user {
	return []user{
		{name: adminUser, groups: "system:masters"},
		{name: "sluice"},
		{name: "alice"},
	}
}

// writeUsers gives every user a new token and a kubeconfig for server.
func writeUsers(d dataDir, server string) error {
	var lines [][]string
	for _, u := range users() {
		token := rand.Text()
		lines = append(lines, []string{token, u.name, u.name, u.groups})
		if err := writeKubeconfig(d, u.name, server, token); err != nil {
			return err
		}
	}
	var tokens bytes.Buffer
	if err := csv.NewWriter(&tokens).WriteAll(lines); err != nil {
		return fmt.Errorf("list tokens: %w", err)
	}
	if err := os.WriteFile(d.tokens(), tokens.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write tokens: %w", err)
	}
	return nil
}

func writeKubeconfig(d dataDir, user, server, token string) error {
	ca, err := os.ReadFile(d.ca())
	if err != nil {
		return fmt.Errorf("read authority: %w", err)
	}
	const name = "devcluster"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: user, Namespace: "default"}
	config.CurrentContext = name
	if err := clientcmd.WriteToFile(*config, d.kubeconfig(user)); err != nil {
		return fmt.Errorf("write kubeconfig of %s: %w", user, err)
	}
	return nil
}
