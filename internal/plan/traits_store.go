package plan

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

func seeStatefulSet(s *subject) string {
	if s.kind != "StatefulSet" {
		return ""
	}
	if len(s.claims) == 0 {
		return "it is a StatefulSet: its pods have names of their own, and no claims"
	}
	mode := corev1.ReadWriteOnce
	if modes := s.claims[0].Spec.AccessModes; len(modes) > 0 {
		mode = modes[0]
	}
	n := int(s.replicas) * len(s.claims)
	if n == 1 {
		return fmt.Sprintf("StatefulSet with 1 %s claim", mode)
	}
	return fmt.Sprintf("StatefulSet with %d %s claims", n, mode)
}

func seeVolume(s *subject) string {
	if !s.lasting() {
		return ""
	}
	for _, v := range s.pod.Spec.Volumes {
		switch {
		case v.PersistentVolumeClaim != nil && !v.PersistentVolumeClaim.ReadOnly && written(s.shape, v.Name):
			return "mounts the claim " + v.PersistentVolumeClaim.ClaimName
		case v.Ephemeral != nil && written(s.shape, v.Name):
			return "mounts the ephemeral claim " + v.Name
		case v.HostPath != nil && written(s.shape, v.Name) && !nodesOwn(v.HostPath):
			return "keeps files in the node's path " + v.HostPath.Path
		}
	}
	return ""
}

// written tells whether any container may write to a volume. One that nobody mounts
// counts as written: a template may have been cut.
func written(s shape, volume string) bool {
	mounted := false
	for _, c := range slices.Concat(s.pod.Spec.Containers, s.pod.Spec.InitContainers) {
		for _, m := range c.VolumeMounts {
			if m.Name == volume {
				mounted = true
				if !m.ReadOnly {
					return true
				}
			}
		}
	}
	return !mounted
}

// nodePaths are paths in which a node shows itself: who mounts them looks at the
// node, or plugs into it, and keeps nothing of its own there.
var nodePaths = []string{"/proc", "/sys", "/dev", "/etc", "/run", "/var/run", "/lib", "/lib64", "/bin", "/sbin", "/usr", "/var/log", "/boot",
	"/var/lib/kubelet", "/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/dbus", "/opt/cni", "/var/lib/cni"}

func nodesOwn(v *corev1.HostPathVolumeSource) bool {
	if v.Type != nil && (*v.Type == corev1.HostPathSocket || *v.Type == corev1.HostPathCharDev || *v.Type == corev1.HostPathBlockDev) {
		return true
	}
	for _, own := range nodePaths {
		if v.Path == own || strings.HasPrefix(v.Path, own+"/") {
			return true
		}
	}
	return v.Path == "/" || strings.HasSuffix(v.Path, ".sock")
}

func seeStoreImage(s *subject) string {
	if !s.lasting() {
		return ""
	}
	for _, l := range s.containers() {
		if l.does&keeps == 0 || l.idle || elsewhere(l) {
			continue
		}
		evidence := "runs the store image " + l.Image
		if said := serverWords.said(l); !l.in(stores) && said != "" {
			evidence = "starts a store (" + said + ")"
		}
		if scratch := scratchOf(s.shape, l.Container); scratch != "" {
			evidence += " on an emptyDir (" + scratch + ")"
		}
		return evidence
	}
	return ""
}

func seeStorePort(s *subject) string {
	if !s.lasting() {
		return ""
	}
	for _, l := range s.containers() {
		if l.does&(passes|looksOn|computes|otherwise) != 0 || l.idle || elsewhere(l) {
			continue
		}
		for _, p := range l.Ports {
			if slices.ContainsFunc(subwords(p.Name), func(word string) bool { return asidePortWords[word] }) {
				continue
			}
			if store, ok := storePorts[p.ContainerPort]; ok {
				return fmt.Sprintf("listens on port %d (%s)", p.ContainerPort, store)
			}
			if storePortNames[p.Name] {
				return fmt.Sprintf("listens on a port named %s (%d)", p.Name, p.ContainerPort)
			}
		}
	}
	return ""
}

// objectStores are the names by which settings send what is stored to an object
// store; otherStores are those of databases outside.
var (
	objectStores = set(`s3 gcs gs google azure azblob azureblob swift oss cos amazon aws alibaba minio object objectstore obs`)
	otherStores  = set(`mysql postgres postgresql mariadb`)
)

// elsewhere tells whether settings lead what a program stores to an object store or
// a database outside.
func elsewhere(l look) bool {
	for _, word := range l.words {
		if strings.HasPrefix(word, "tikv://") || strings.HasPrefix(word, "fdb://") {
			return true
		}
	}
	return slices.ContainsFunc(l.settings, func(s setting) bool {
		value := strings.ToLower(s.value)
		switch {
		case strings.HasSuffix(s.key, "STORAGE") || strings.HasSuffix(s.key, "STORAGE_TYPE") || strings.HasSuffix(s.key, "STORAGE_BACKEND") || strings.HasSuffix(s.key, "STORAGE_DRIVER"):
			return objectStores[value]
		case strings.HasPrefix(s.key, "REGISTRY_STORAGE_"):
			return strings.HasPrefix(s.key, "REGISTRY_STORAGE_S3_") || strings.HasPrefix(s.key, "REGISTRY_STORAGE_GCS_") || strings.HasPrefix(s.key, "REGISTRY_STORAGE_AZURE_")
		case s.key == "SPRING_DATASOURCE_PLATFORM":
			return otherStores[value] && l.in(set("nacos nacos-server"))
		}
		return strings.HasSuffix(s.key, "SERVER_BACKEND_DSN")
	})
}

// scratchOf is where a container writes to an emptyDir, other than /tmp and /run.
func scratchOf(s shape, c corev1.Container) string {
	for _, m := range c.VolumeMounts {
		passing := strings.HasPrefix(m.MountPath, "/tmp") || strings.HasPrefix(m.MountPath, "/run") || strings.HasPrefix(m.MountPath, "/var/run")
		for _, v := range s.pod.Spec.Volumes {
			if v.Name == m.Name && v.EmptyDir != nil && !passing {
				return m.MountPath
			}
		}
	}
	return ""
}
