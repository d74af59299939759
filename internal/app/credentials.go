package app

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// portableContext is a kubeconfig that holds one context and all that it needs.
func portableContext(kubeconfig, name string) ([]byte, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	config, err := rules.Load()
	if err != nil {
		return nil, err
	}
	config.CurrentContext = name
	if err := clientcmdapi.MinifyConfig(config); err != nil {
		return nil, err
	}
	if err := clientcmdapi.FlattenConfig(config); err != nil {
		return nil, err
	}
	return clientcmd.Write(*config)
}

// whoami asks a cluster for the name by which it knows us.
func whoami(ctx context.Context, config *rest.Config) (string, error) {
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	review, err := clients.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return review.Status.UserInfo.Username, nil
}

var (
	keyBlock     = regexp.MustCompile(`(?s)\bkey\s+"?([^"\s{;]+)"?\s*\{(.*?)\}`)
	keyAlgorithm = regexp.MustCompile(`\balgorithm\s+"?([A-Za-z0-9.-]+)"?\s*;`)
	keySecret    = regexp.MustCompile(`\bsecret\s+"?([A-Za-z0-9+/=]+)"?\s*;`)
)

// signing is the algorithm that updates are signed with.
const signing = "hmac-sha256"

// readKeys reads TSIG keys from files as BIND writes them, by keyName:
//
//	key "crossfade" { algorithm hmac-sha256; secret "…"; };
func readKeys(files []string) (map[string]string, error) {
	keys := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--key-file: %w", err)
		}
		blocks := keyBlock.FindAllSubmatch(text, -1)
		if len(blocks) == 0 {
			return nil, fmt.Errorf("--key-file %s: it holds no key as BIND writes them", file)
		}
		for _, block := range blocks {
			if a := keyAlgorithm.FindSubmatch(block[2]); a != nil && keyName(string(a[1])) != signing {
				return nil, fmt.Errorf("--key-file %s: key %s is for %s; updates are signed with %s", file, block[1], a[1], signing)
			}
			secret := keySecret.FindSubmatch(block[2])
			if secret == nil {
				return nil, fmt.Errorf("--key-file %s: key %s has no secret", file, block[1])
			}
			keys[keyName(string(block[1]))] = string(secret[1])
		}
	}
	return keys, nil
}

// keyName is the name of a key as names are compared.
func keyName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
