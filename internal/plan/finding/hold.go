package finding

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
)

// secretRules are about what objects hold that is the source's.
var secretRules = []rule{
	{"CF-SEC-001", seeTokenSecrets},
	{"CF-SEC-002", seeCarriedTokens},
	{"CF-SEC-003", seeCloudRoles},
	{"CF-SEC-004", seeAuthorities},
	{"CF-SEC-005", seeAddresses},
	{"CF-SEC-006", seeClusterIPs},
}

func (l *look) tokenSecrets(do func(s *corev1.Secret, mounted bool)) {
	mounted := map[string]bool{}
	for _, app := range l.Estate.Apps {
		for _, w := range app.Workloads {
			for _, n := range w.Needs {
				if n.Kind == "Secret" {
					mounted[key(w.Namespace, n.Name)] = true
				}
			}
		}
	}
	for _, s := range l.Source.Objects.Secrets {
		if s.Type == corev1.SecretTypeServiceAccountToken && l.InEstate(s.Namespace) {
			do(s, mounted[key(s.Namespace, s.Name)])
		}
	}
}

func seeTokenSecrets(l *look) {
	l.tokenSecrets(func(s *corev1.Secret, mounted bool) {
		if mounted {
			l.say(title("Secret", s), "holds a token of %s, and pods mount it", s.Annotations[corev1.ServiceAccountNameKey])
		}
	})
}

func seeCarriedTokens(l *look) {
	l.tokenSecrets(func(s *corev1.Secret, mounted bool) {
		if !mounted {
			l.say(title("Secret", s), "holds a token of %s, and no pod mounts it", s.Annotations[corev1.ServiceAccountNameKey])
		}
	})
}

// roleAnnotations bind an account to a role of a cloud.
var roleAnnotations = []string{"eks.amazonaws.com/role-arn", "iam.gke.io/gcp-service-account", "azure.workload.identity/client-id", "pod-identity.alibabacloud.com/role-name"}

func seeCloudRoles(l *look) {
	if l.Target != nil && l.Target.Issuer != "" && l.Target.Issuer == l.Source.Issuer {
		return // tokens of both sides look alike to the cloud
	}
	told := map[string]bool{}
	say := func(w plan.Workload) {
		account := l.ix.accounts[key(w.Namespace, w.Pod.Spec.ServiceAccountName)]
		if account == nil || told[key(account.Namespace, account.Name)] {
			return
		}
		for _, a := range roleAnnotations {
			if role := account.Annotations[a]; role != "" {
				told[key(account.Namespace, account.Name)] = true
				l.sayAs(severityIf(w.Decide == v1.DecideMove), title("ServiceAccount", account), "takes the role %s, for %s", role, nameOf(w))
			}
		}
	}
	for _, moves := range []bool{true, false} { // who moves speaks for an account that others share
		l.moving(func(w plan.Workload) {
			if moves == (w.Decide == v1.DecideMove) {
				say(w)
			}
		})
	}
}

// mostText is how much of one value is looked through, in bytes.
const mostText = 256 << 10

// texts calls do with what ConfigMaps and Secrets of the estate hold, and the name of
// each. What Kubernetes and Helm put there themselves is left out.
func (l *look) texts(do func(object, name string, text []byte)) {
	for _, m := range l.Source.Objects.ConfigMaps {
		if !l.InEstate(m.Namespace) || m.Name == "kube-root-ca.crt" || m.Name == "istio-ca-root-cert" {
			continue
		}
		for k, v := range m.Data {
			do(title("ConfigMap", m), k, []byte(v[:min(len(v), mostText)]))
		}
	}
	for _, s := range l.Source.Objects.Secrets {
		if !l.InEstate(s.Namespace) || s.Type == corev1.SecretTypeServiceAccountToken || s.Type == "helm.sh/release.v1" {
			continue
		}
		for k, v := range s.Data {
			do(title("Secret", s), k, v[:min(len(v), mostText)])
		}
	}
}

func seeAuthorities(l *look) {
	_, body, found := bytes.Cut(bytes.TrimSpace(l.Source.CA), []byte("\n"))
	if !found || len(body) < 64 {
		return
	}
	sign := body[:64] // the first line of a certificate's own text
	l.texts(func(object, name string, text []byte) {
		if bytes.Contains(text, sign) {
			l.say(object, "%s holds the source's authority", name)
		}
	})
}

func seeAddresses(l *look) {
	if l.Source.Address == "" || l.Source.Address == "127.0.0.1" || l.Source.Address == "localhost" {
		return
	}
	l.texts(func(object, name string, text []byte) {
		if at := bytes.Index(text, []byte(l.Source.Address)); at >= 0 && standsAlone(text, at, len(l.Source.Address)) {
			l.say(object, "%s names %s", name, l.Source.Address)
		}
	})
}

// standsAlone tells whether a name or address in a text is not part of a longer one.
func standsAlone(text []byte, at, length int) bool {
	part := func(b byte) bool {
		return b == '.' || b == '-' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
	}
	return (at == 0 || !part(text[at-1])) && (at+length >= len(text) || !part(text[at+length]))
}

var ipv4 = regexp.MustCompile(`\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}`)

func seeClusterIPs(l *look) {
	l.texts(func(object, name string, text []byte) {
		if bytes.Count(text, []byte(".")) < 3 {
			return
		}
		for _, at := range ipv4.FindAllIndex(text, 20) {
			svc := l.ix.byAddress[string(text[at[0]:at[1]])]
			if svc != nil && standsAlone(text, at[0], at[1]-at[0]) {
				l.say(object, "%s names %s, the cluster IP of Service %s", name, text[at[0]:at[1]], key(svc.Namespace, svc.Name))
				return
			}
		}
	})
}

// accessRules are about what the engine may do and see.
var accessRules = []rule{
	{"CF-ACC-001", seeLacking},
	{"CF-ACC-002", seeUnseen},
	{"CF-ACC-003", seeThrottling},
}

func seeLacking(l *look) {
	for _, r := range l.Lacking {
		l.say(r.Side, "may not %s %s", r.Verb, r.Resource)
	}
}

// cosmetic are resources without which a plan is poorer and nobody is hurt.
var cosmetic = []string{"flowschemas", "prioritylevelconfigurations", "events", "leases"}

func seeUnseen(l *look) {
	for _, s := range []*Side{&l.Source, l.Target} {
		if s == nil {
			continue
		}
		for _, u := range s.Unseen {
			severity := Blocks
			if slices.Contains(cosmetic, u.Resource) {
				severity = Warns
			}
			l.sayAs(severity, s.Name, "could not %s %s: %s", u.Verb, u.Resource, u.Why)
		}
	}
}

// few are the levels that everybody shares who has none of their own
// (KEP-1040, suggested and mandatory configuration).
var few = []string{"catch-all", "global-default"}

func seeThrottling(l *look) {
	for _, s := range []*Side{&l.Source, l.Target} {
		if s != nil && slices.Contains(few, s.Level) {
			l.say(s.Name, "our requests fall into the level %s", s.Level)
		}
	}
}

// over tells whether a quota has less room left than more, in thousandths of its unit.
func over(used, hard resource.Quantity, more int64) bool {
	return used.MilliValue()+more > hard.MilliValue()
}

// baseName is a resource of a quota without its prefix.
func baseName(name corev1.ResourceName) string { return strings.TrimPrefix(string(name), "requests.") }
