package estate

import (
	"fmt"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	priorityClass       = "streaming-critical"
	registrySecret      = "registry"
	kafkaBrokers        = "kafka-1.example.com:9092,kafka-2.example.com:9092"
	defaultGraceSeconds = 30
)

// objects are everything that belongs to a and to nobody else.
func (a *app) objects() []runtime.Object {
	objects := append(a.access(), a.settings()...)
	objects = append(objects, a.services()...)
	objects = append(objects, a.workload())
	return append(objects, a.policies()...)
}

func (a *app) workload() runtime.Object {
	meta := a.meta(a.name)
	selector := &metav1.LabelSelector{MatchLabels: a.selector()}
	switch {
	case a.has(statefulSet):
		return &appsv1.StatefulSet{
			TypeMeta: kind("apps/v1", "StatefulSet"), ObjectMeta: meta,
			Spec: appsv1.StatefulSetSpec{Replicas: &a.replicas, ServiceName: a.name, Selector: selector, Template: a.template()},
		}
	case a.has(daemonSet):
		return &appsv1.DaemonSet{
			TypeMeta: kind("apps/v1", "DaemonSet"), ObjectMeta: meta,
			Spec: appsv1.DaemonSetSpec{Selector: selector, Template: a.template()},
		}
	case a.has(job):
		return &batchv1.Job{TypeMeta: kind("batch/v1", "Job"), ObjectMeta: meta, Spec: a.jobSpec()}
	case a.has(cronJob):
		return &batchv1.CronJob{
			TypeMeta: kind("batch/v1", "CronJob"), ObjectMeta: meta,
			Spec: batchv1.CronJobSpec{
				Schedule:          "30 3 * * *",
				TimeZone:          new("Etc/UTC"),
				ConcurrencyPolicy: batchv1.ForbidConcurrent,
				JobTemplate:       batchv1.JobTemplateSpec{Spec: a.jobSpec()},
			},
		}
	}
	return &appsv1.Deployment{
		TypeMeta: kind("apps/v1", "Deployment"), ObjectMeta: meta,
		Spec: appsv1.DeploymentSpec{
			Replicas: &a.replicas, Selector: selector, Template: a.template(),
			Strategy: a.strategy(), MinReadySeconds: a.minReady,
		},
	}
}

func (a *app) jobSpec() batchv1.JobSpec {
	template := a.template()
	template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	return batchv1.JobSpec{BackoffLimit: new(int32(3)), Template: template}
}

func (a *app) strategy() appsv1.DeploymentStrategy {
	if a.has(singleton) {
		return appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	}
	if a.rolling == (rolling{}) {
		return appsv1.DeploymentStrategy{}
	}
	return appsv1.DeploymentStrategy{
		Type: appsv1.RollingUpdateDeploymentStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDeployment{
			MaxSurge:       new(intstr.Parse(a.rolling.surge)),
			MaxUnavailable: new(intstr.Parse(a.rolling.unavailable)),
		},
	}
}

func (a *app) template() corev1.PodTemplateSpec {
	spec := corev1.PodSpec{Containers: []corev1.Container{a.container()}}
	if a.grace != 0 {
		spec.TerminationGracePeriodSeconds = &a.grace
	}
	if a.has(accounted) {
		spec.ServiceAccountName = a.name
	}
	if a.has(critical) {
		spec.PriorityClassName = priorityClass
	}
	if a.has(preparesFirst) {
		spec.InitContainers = []corev1.Container{{
			Name:      "wait-for-schema",
			Image:     fmt.Sprintf("registry.example.com/%s/schema-check:1.0.3", a.unit),
			Command:   []string{"/schema-check", "--wait"},
			Resources: a.resources(),
		}}
	}
	if a.scratch || a.role == Store {
		spec.Volumes = []corev1.Volume{{
			Name:         "data",
			VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
		}}
	}
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: a.labels()}, Spec: spec}
}

func (a *app) container() corev1.Container {
	c := corev1.Container{
		Name:      a.name,
		Image:     a.image,
		Env:       a.environment(),
		Resources: a.resources(),
		Lifecycle: a.lifecycle(),
	}
	if !a.has(queueClient | cronJob | job) {
		c.Ports = []corev1.ContainerPort{{Name: a.portName(), ContainerPort: a.port}}
		c.ReadinessProbe = a.probe(a.readiness, "/readyz", 2)
	}
	if a.lives && a.readiness == httpProbe && c.ReadinessProbe != nil {
		c.LivenessProbe = a.probe(httpProbe, "/healthz", 10)
	}
	if a.has(configured) {
		c.EnvFrom = []corev1.EnvFromSource{{
			ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: a.name}},
		}}
	}
	if a.scratch || a.role == Store {
		c.VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	}
	if a.locked {
		c.SecurityContext = &corev1.SecurityContext{
			RunAsNonRoot:             new(true),
			RunAsUser:                new(int64(10001)),
			AllowPrivilegeEscalation: new(false),
			ReadOnlyRootFilesystem:   new(true),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}
	}
	return c
}

func (a *app) environment() []corev1.EnvVar {
	var env []corev1.EnvVar
	set := func(name, value string) { env = append(env, corev1.EnvVar{Name: name, Value: value}) }
	switch a.role {
	case Web:
		set("API_URL", "http://core-api.core.svc.cluster.local:8080")
	case API, Origin:
		set("STORE_ADDR", "core-store.core.svc.cluster.local:6379")
	case Store:
		set("DATA_DIR", "/data")
	case Service:
		set("SERVICE_NAME", a.name)
	}
	if a.role != "" {
		set("GRACE_SECONDS", strconv.FormatInt(a.graceSeconds(), 10))
	}
	if a.has(queueClient) {
		set("KAFKA_BROKERS", kafkaBrokers)
		set("KAFKA_GROUP_ID", a.name)
	}
	if a.has(secretive) {
		env = append(env, corev1.EnvVar{Name: "API_TOKEN", ValueFrom: &corev1.EnvVarSource{
			SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: a.name},
				Key:                  "token",
			},
		}})
	}
	return env
}

func (a *app) resources() corev1.ResourceRequirements {
	r := corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewMilliQuantity(a.milliCPU, resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(a.memoryMi<<20, resource.BinarySI),
	}}
	if a.limited {
		r.Limits = corev1.ResourceList{
			corev1.ResourceMemory: *resource.NewQuantity(a.memoryMi<<22, resource.BinarySI),
		}
	}
	return r
}

func (a *app) lifecycle() *corev1.Lifecycle {
	switch {
	case a.has(stopsByExec):
		return &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{
			Exec: &corev1.ExecAction{Command: []string{"/bin/sh", "-c", "sleep 1"}},
		}}
	case a.sleeps > 0 && !a.has(job|cronJob):
		return &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{
			Sleep: &corev1.SleepAction{Seconds: a.sleeps},
		}}
	}
	return nil
}

func (a *app) probe(by probe, path string, period int32) *corev1.Probe {
	p := &corev1.Probe{PeriodSeconds: period, TimeoutSeconds: 1}
	switch by {
	case noProbe:
		return nil
	case httpProbe:
		p.HTTPGet = &corev1.HTTPGetAction{Path: path, Port: intstr.FromString(a.portName())}
	case tcpProbe:
		p.TCPSocket = &corev1.TCPSocketAction{Port: intstr.FromString(a.portName())}
	case grpcProbe:
		p.GRPC = &corev1.GRPCAction{Port: a.port}
	}
	return p
}

func (a *app) portName() string {
	switch {
	case a.has(grpc):
		return "grpc"
	case a.has(statefulSet):
		return "postgres"
	case a.role == Store:
		return "redis"
	}
	return "http"
}
