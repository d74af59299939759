package mirror

import (
	"fmt"
	"slices"
	"strings"
)

// candidates are values that a field may take, the likeliest first.
func (e *explorer) candidates(f field) []any {
	if given := e.given(f, fieldValues); given != nil {
		return given
	}
	s := f[len(f)-1].in
	if f[:len(f)-1].meets(f.ref()) {
		return []any{m{}}
	}
	switch {
	case len(s.Enum) > 0:
		return slices.DeleteFunc(slices.Clone(s.Enum), func(v any) bool { return v == "" })
	case s.Format == "int-or-string":
		return []any{int64(1), "25%"}
	case len(s.OneOf) > 0:
		return []any{"1", int64(1)}
	}
	switch s.Type {
	case "string":
		switch s.Format {
		case "date-time":
			return []any{"2026-01-01T00:00:00Z"}
		case "byte":
			return []any{"AAEC"}
		}
		return []any{"every", "every.example.com/every", "/every"}
	case "integer":
		return []any{int64(1), int64(0), int64(100), int64(8080)}
	case "number":
		return []any{1.5, int64(1)}
	case "boolean":
		return []any{true, false}
	case "array":
		item, ref := e.resolve(s.Items)
		var out []any
		for _, value := range e.candidates(f.then("[]", item, ref)) {
			out = append(out, []any{value})
		}
		return out
	case "object", "":
		return e.objectCandidates(s, f)
	}
	return nil
}

func (e *explorer) objectCandidates(s *fieldSchema, f field) []any {
	if s.Properties == nil && s.Values != nil {
		item, ref := e.resolve(s.Values)
		var out []any
		for _, value := range e.candidates(f.then("{}", item, ref)) {
			out = append(out, map[string]any{"every": value})
		}
		return out
	}
	out := []any{e.least(s, f)}
	for _, child := range e.children(s, f) {
		name := child[len(child)-1].name
		if len(out) > 6 || slices.Contains(s.Required, name) || len(f) > 14 {
			continue
		}
		if values := e.candidates(child); len(values) > 0 {
			with, _ := e.least(s, f).(map[string]any)
			with[name] = values[0]
			out = append(out, with)
		}
	}
	return out
}

// least is the smallest value that has what the schema requires.
func (e *explorer) least(s *fieldSchema, f field) any {
	if given := e.given(f, leastValues); given != nil {
		return deepCopy(given[0])
	}
	if given := e.given(f, fieldValues); given != nil {
		return deepCopy(given[0])
	}
	if s.Type == "array" {
		return []any{}
	}
	if s.Properties == nil && s.Type != "object" && s.Type != "" {
		return e.candidates(f)[0]
	}
	out := map[string]any{}
	for _, child := range e.children(s, f) {
		name := child[len(child)-1].name
		if slices.Contains(s.Required, name) {
			if values := e.candidates(child); len(values) > 0 {
				out[name] = deepCopy(values[0])
			}
		}
	}
	return out
}

// given finds the values of a table for a field.
func (e *explorer) given(f field, table map[string][]any) []any {
	path := e.kind.Kind + ":" + f.String()
	for {
		if values, ok := table[path]; ok {
			return e.numbered(values)
		}
		at := strings.IndexAny(path, ".:[{")
		if at < 0 {
			return nil
		}
		if path = path[at+1:]; path == "" {
			return nil
		}
	}
}

// numbered puts a number that is used once in the place of #.
func (e *explorer) numbered(values []any) []any {
	e.unique++
	var replace func(any) any
	replace = func(value any) any {
		switch value := value.(type) {
		case string:
			if value == "#port" {
				return int64(20000 + e.unique%10000)
			}
			if value == "#nodePort" {
				return int64(30100 + e.unique%1000)
			}
			return strings.ReplaceAll(value, "#", fmt.Sprint(e.unique))
		case int:
			return int64(value)
		case []any:
			out := []any{}
			for _, v := range value {
				out = append(out, replace(v))
			}
			return out
		case map[string]any:
			out := map[string]any{}
			for k, v := range value {
				out[strings.ReplaceAll(k, "#", fmt.Sprint(e.unique))] = replace(v)
			}
			return out
		}
		return value
	}
	return replace(values).([]any)
}

type m = map[string]any

const caBundle = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJlRENDQVIyZ0F3SUJBZ0lCQURBS0JnZ3Foa2pPUFFRREFqQVNNUkF3RGdZRFZRUUREQWRsZG1WeWVYUm8KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo="

// webhook is asked about nothing that there is.
var webhook = m{
	"name": "every.example.com.none", "sideEffects": "None", "admissionReviewVersions": []any{"v1"},
	"clientConfig": m{"service": m{"namespace": "every", "name": "every"}},
	"rules":        []any{m{"apiGroups": []any{"none.example.com"}, "apiVersions": []any{"v1"}, "operations": []any{"CREATE"}, "resources": []any{"nones"}}},
}

var webhooks = []any{webhook, m{
	"name": "other.example.com.none", "sideEffects": "None", "admissionReviewVersions": []any{"v1"},
	"clientConfig": m{"url": "https://every.example.com/every"}, "rules": webhook["rules"],
}}

// leastValues are what stands around one member of a union.
var leastValues = map[string][]any{
	"volumes[]":                {m{"name": "every-#"}},
	"env[]":                    {m{"name": "every-#"}},
	"envFrom[]":                {m{}},
	"valueFrom":                {m{}},
	"mutations[]":              {m{"patchType": "ApplyConfiguration"}},
	"clientConfig":             {m{}},
	"backend":                  {m{}},
	"defaultBackend":           {m{}},
	"service.port":             {m{}},
	"podFailurePolicy.rules[]": {m{"action": "Ignore"}},
	"devices.requests[]":       {m{"name": "every-#"}},
	"devices.constraints[]":    {m{}},
	"projected.sources[]":      {m{}},
	"fc":                       {m{}},
	"downwardAPI.items[]":      {m{"path": "every-#"}},
}

// fieldValues are values by the end of a field's path, where its type does not tell
// what the API server takes. The longest end counts.
var fieldValues = map[string][]any{
	"name":                              {"every-#"},
	"generateName":                      {"every-"},
	"annotations":                       {m{"example.com/every": "every"}},
	"labels":                            {m{"every": "every"}},
	"finalizers":                        {[]any{"example.com/every"}},
	"apiGroup":                          {"example.com"},
	"apiGroups":                         {[]any{"none.example.com"}},
	"apiVersions":                       {[]any{"v1"}},
	"volumes":                           {[]any{m{"name": "every-scratch", "emptyDir": m{}}, m{"name": "every-claim", "persistentVolumeClaim": m{"claimName": "every"}}}},
	"volumes[].image":                   {m{"reference": "every:1"}},
	"apiVersion":                        {"v1"},
	"fileKeyRef":                        {m{"volumeName": "every-scratch", "path": "every", "key": "every"}},
	"configMapKeyRef":                   {m{"name": "every", "key": "every"}},
	"secretKeyRef":                      {m{"name": "every", "key": "every"}},
	"recursiveReadOnly":                 {"Disabled"},
	"volumeMounts[]":                    {m{"name": "every-scratch", "mountPath": "/every-#"}},
	"properties{}.allOf":                {[]any{m{"maxLength": 99}}},
	"properties{}.anyOf":                {[]any{m{"maxLength": 99}}},
	"properties{}.oneOf":                {[]any{m{"maxLength": 99}}},
	"properties{}.not":                  {m{"maxLength": 99}},
	"properties{}.definitions":          {m{"every": m{"type": "string"}}},
	"properties{}.dependencies":         {m{"every": []any{"every"}}},
	"properties{}.patternProperties":    {m{"every": m{"type": "string"}}},
	"properties{}.properties":           {m{"every": m{"type": "string"}}},
	"properties{}.additionalProperties": {m{"type": "string"}},
	"properties{}.items":                {m{"type": "string"}},
	"properties{}.type":                 {"string"},
	"properties{}.required":             {[]any{"every"}},
	"properties{}.default":              {"every"},
	"properties{}.example":              {"every"},
	"properties{}.enum":                 {[]any{"every"}},
	"properties{}.format":               {"byte"},
	"x-kubernetes-list-type":            {"map", "set"},
	"x-kubernetes-list-map-keys":        {[]any{"every"}},
	"x-kubernetes-map-type":             {"granular"},
	"x-kubernetes-validations":          {[]any{m{"rule": "oldSelf.hasValue() || self == self", "optionalOldSelf": true}}},
	"x-kubernetes-validations[].messageExpression": {"'every'"},
	"x-kubernetes-validations[].reason":            {"FieldValueInvalid"},
	"x-kubernetes-validations[].fieldPath":         {".every"},
	"CustomResourceDefinition:spec.conversion":     {m{"strategy": "Webhook", "webhook": m{"conversionReviewVersions": []any{"v1"}, "clientConfig": m{"service": m{"namespace": "every", "name": "every"}}}}},
	"additionalPrinterColumns":                     {[]any{m{"name": "every", "type": "string", "jsonPath": ".every"}}},
	"additionalPrinterColumns[].format":            {"byte"},
	"selectableFields":                             {[]any{m{"jsonPath": ".text"}}},
	"subresources.scale":                           {m{"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
	"labelSelectorPath":                            {".status.selector"},
	"shortNames":                                   {[]any{"ev#"}},
	"categories":                                   {[]any{"all"}},
	"singular":                                     {"everything"},
	"caBundle":                                     {caBundle},
	"rules[].scope":                                {"Namespaced"},
	"resourceRules[].scope":                        {"Namespaced"},
	"excludeResourceRules[].scope":                 {"Namespaced"},
	"excludeResourceRules":                         {[]any{m{"apiGroups": []any{"none.example.com"}, "apiVersions": []any{"v1"}, "operations": []any{"CREATE"}, "resources": []any{"nones"}}}},
	"resourceRules":                                {[]any{m{"apiGroups": []any{"none.example.com"}, "apiVersions": []any{"v1"}, "operations": []any{"CREATE"}, "resources": []any{"nones"}}}},
	"resourceNames":                                {[]any{"every"}},
	"ValidatingWebhookConfiguration:webhooks":      {webhooks},
	"MutatingWebhookConfiguration:webhooks":        {webhooks},
	"webhooks[].rules":                             {webhook["rules"]},
	"webhooks[].clientConfig.url":                  {"https://every.example.com/every"},
	"webhooks[].matchConditions":                   {[]any{m{"name": "every", "expression": "true"}}},
	"spec.matchConditions":                         {[]any{m{"name": "every", "expression": "true"}}},
	"paramRef":                                     {m{"name": "every", "parameterNotFoundAction": "Allow"}},
	"paramKind":                                    {m{"apiVersion": "v1", "kind": "ConfigMap"}},
	"auditAnnotations":                             {[]any{m{"key": "every", "valueExpression": "'every'"}}},
	"messageExpression":                            {"'every'"},
	"validations[].reason":                         {"Invalid"},
	"variables":                                    {[]any{m{"name": "every", "expression": "true"}}},
	"mutations[].applyConfiguration":               {m{"expression": "Object{}"}},
	"subjects":                                     {[]any{m{"kind": "User", "name": "every", "apiGroup": "rbac.authorization.k8s.io"}, m{"kind": "ServiceAccount", "name": "every", "namespace": "every"}}},
	"roleRef.apiGroup":                             {"rbac.authorization.k8s.io"},
	"Role:rules":                                   {[]any{m{"verbs": []any{"get"}, "apiGroups": []any{""}, "resources": []any{"pods"}, "resourceNames": []any{"every"}}}},
	"ClusterRole:rules":                            {[]any{m{"verbs": []any{"get"}, "apiGroups": []any{""}, "resources": []any{"pods"}, "resourceNames": []any{"every"}}, m{"verbs": []any{"get"}, "nonResourceURLs": []any{"/every"}}}},
	"selectors":                                    {[]any{m{"cel": m{"expression": "device.driver == 'every'"}}}},
	"devices.constraints":                          {[]any{m{"matchAttribute": "every.example.com/every"}}},
	"constraints[].requests":                       {[]any{"every"}},
	"config[].requests":                            {[]any{"every"}},
	"constraints[].distinctAttribute":              {"every.example.com/every"},
	"firstAvailable":                               {[]any{m{"name": "every", "deviceClassName": "every"}}},
	"tolerations[].operator":                       {"Equal", "Exists"},
	"capacity.requests":                            {m{"every.example.com/every": "1"}},
	"ResourceClaimTemplate:spec.metadata.labels":   {m{"every": "every"}},
	"podFixed":                                     {m{"cpu": "1"}},
	"parameters.scope":                             {"Namespace"},
	"ipBlock":                                      {m{"cidr": "10.0.0.0/8"}},
	"except":                                       {[]any{"10.1.0.0/16"}},
	"timeZone":                                     {"Europe/Berlin"},
	"podFailurePolicy":                             {m{"rules": []any{m{"action": "Ignore", "onPodConditions": []any{m{"type": "DisruptionTarget", "status": "True"}}}}}},
	"podFailurePolicy.rules[]":                     {m{"action": "FailJob", "onExitCodes": m{"operator": "In", "values": []any{3}}}},
	"successPolicy":                                {m{"rules": []any{m{"succeededIndexes": "0"}}}},
	"succeededIndexes":                             {"0"},
	"podReplacementPolicy":                         {"Failed"},
	"managedBy":                                    {"every.example.com/every"},
	"Ingress:spec.rules[].http": {m{"paths": []any{
		m{"path": "/every", "pathType": "Prefix", "backend": m{"service": m{"name": "every", "port": m{"number": 80}}}},
		m{"path": "/other", "pathType": "Exact", "backend": m{"service": m{"name": "every", "port": m{"name": "every"}}}},
		m{"path": "/third", "pathType": "Exact", "backend": m{"resource": m{"apiGroup": "example.com", "kind": "Every", "name": "every"}}},
	}}},
	"Ingress:spec.rules":      {[]any{m{"host": "every.example.com"}}},
	"backend.resource":        {m{"apiGroup": "example.com", "kind": "Every", "name": "every"}},
	"defaultBackend.resource": {m{"apiGroup": "example.com", "kind": "Every", "name": "every"}},
	"tls[].hosts":             {[]any{"every.example.com"}},
	"HorizontalPodAutoscaler:spec.metrics": {[]any{
		m{"type": "Resource", "resource": m{"name": "cpu", "target": m{"type": "Utilization", "averageUtilization": 60}}},
		m{"type": "Resource", "resource": m{"name": "memory", "target": m{"type": "AverageValue", "averageValue": "1"}}},
		m{"type": "ContainerResource", "containerResource": m{"name": "cpu", "container": "every", "target": m{"type": "Utilization", "averageUtilization": 60}}},
		m{"type": "ContainerResource", "containerResource": m{"name": "memory", "container": "every", "target": m{"type": "AverageValue", "averageValue": "1"}}},
		m{"type": "External", "external": m{"metric": m{"name": "every", "selector": m{"matchLabels": m{"every": "every"}}}, "target": m{"type": "AverageValue", "averageValue": "1"}}},
		m{"type": "External", "external": m{"metric": m{"name": "every"}, "target": m{"type": "Value", "value": "1"}}},
		m{"type": "Pods", "pods": m{"metric": m{"name": "every"}, "target": m{"type": "AverageValue", "averageValue": "1"}}},
		m{"type": "Object", "object": m{"describedObject": m{"kind": "Every", "name": "every"}, "metric": m{"name": "every"}, "target": m{"type": "Value", "value": "1"}}},
		m{"type": "Object", "object": m{"describedObject": m{"kind": "Every", "name": "every"}, "metric": m{"name": "every"}, "target": m{"type": "AverageValue", "averageValue": "1"}}},
	}},
	"policies":                                        {[]any{m{"type": "Pods", "value": 1, "periodSeconds": 60}}},
	"scaleTargetRef.apiVersion":                       {"apps/v1"},
	"describedObject.apiVersion":                      {"example.com/v1"},
	"trafficDistribution":                             {"PreferClose"},
	"loadBalancerSourceRanges":                        {[]any{"10.0.0.0/8"}},
	"externalIPs":                                     {[]any{"10.1.2.3"}},
	"Service:spec.clusterIP":                          {"None"},
	"Service:spec.clusterIPs":                         {[]any{"None"}},
	"loadBalancerIP":                                  {"10.1.2.3"},
	"loadBalancerClass":                               {"example.com/every"},
	"externalName":                                    {"every.example.com"},
	"whenDeleted":                                     {"Retain"},
	"whenScaled":                                      {"Delete"},
	"LimitRange:spec.limits":                          {[]any{m{"type": "Container"}, m{"type": "PersistentVolumeClaim", "max": m{"storage": "1Gi"}}}},
	"limits[].default":                                {m{"cpu": "2"}},
	"limits[].defaultRequest":                         {m{"cpu": "2"}},
	"limits[].max":                                    {m{"cpu": "2"}},
	"limits[].min":                                    {m{"cpu": "2"}},
	"maxLimitRequestRatio":                            {m{"cpu": "2"}},
	"scopeSelector.matchExpressions":                  {[]any{m{"scopeName": "PriorityClass", "operator": "In", "values": []any{"every"}}}},
	"volumeClaimTemplates":                            {[]any{m{"metadata": m{"name": "every"}, "spec": m{"accessModes": []any{"ReadWriteOnce"}, "resources": m{"requests": m{"storage": "1Gi"}}}}}},
	"volumeAttributesClassName":                       {"every"},
	"PersistentVolume:spec.claimRef":                  {m{"namespace": "every", "name": "every", "kind": "PersistentVolumeClaim", "apiVersion": "v1"}},
	"PersistentVolume:spec.local":                     {m{"path": "/every"}},
	"PersistentVolume:spec.nodeAffinity":              {m{"required": m{"nodeSelectorTerms": []any{m{"matchExpressions": []any{m{"key": "every", "operator": "In", "values": []any{"every"}}}}}}}},
	"PersistentVolume:spec.csi":                       {m{"driver": "every.example.com", "volumeHandle": "every"}},
	"PersistentVolume:spec.azureFile.secretNamespace": {"every"},
	"PersistentVolume:spec.cephfs":                    {m{"monitors": []any{"every"}}},
	"controllerExpandSecretRef":                       {m{"name": "every", "namespace": "every"}},
	"nodeExpandSecretRef":                             {m{"name": "every", "namespace": "every"}},
	"nodePublishSecretRef":                            {m{"name": "every", "namespace": "every"}},
	"nodeStageSecretRef":                              {m{"name": "every", "namespace": "every"}},
	"controllerPublishSecretRef":                      {m{"name": "every", "namespace": "every"}},
	"dataSource":                                      {m{"apiGroup": "example.com", "kind": "Every", "name": "every"}},
	"dataSourceRef":                                   {m{"apiGroup": "example.com", "kind": "Every", "name": "every"}},
	"volumes[].secret":                                {m{"secretName": "every"}},
	"volumes[].configMap":                             {m{"name": "every"}},
	"sources[].secret":                                {m{"name": "every"}},
	"sources[].configMap":                             {m{"name": "every"}},
	"selectPolicy":                                    {"Min"},
	"healthCheckNodePort":                             {31999},
	"optionalOldSelf":                                 {true},
	"cinder.secretRef":                                {m{"name": "every", "namespace": "every"}},
	"PodTemplate:template.spec.volumes[].storageos":   {m{"volumeName": "every", "volumeNamespace": "every"}},
	"PersistentVolume:spec.storageos":                 {m{"volumeName": "every", "volumeNamespace": "every", "secretRef": m{"name": "every", "namespace": "every"}}},
	"nodePort":                                        {"#nodePort"},
	"azureDisk.kind":                                  {"Dedicated"},
	"configMap.items":                                 {[]any{m{"key": "every", "path": "every"}}},
	"secret.items":                                    {[]any{m{"key": "every", "path": "every"}}},
	"serviceAccountToken":                             {m{"path": "every"}},
	"serviceAccountToken.path":                        {"every"},
	"expirationSeconds":                               {3600},

	"kind":                     {"Every"},
	"path":                     {"/every-#", "every-#"},
	"ip":                       {"10.1.2.3"},
	"portals":                  {[]any{"10.1.2.3:3260"}},
	"nameservers":              {[]any{"10.1.2.3"}},
	"containers[]":             {m{"name": "every-#", "image": "every:1"}},
	"containers[].ports[]":     {m{"containerPort": "#port"}},
	"initContainers[].ports[]": {m{"containerPort": "#port"}},
	"initContainers[]":         {m{"name": "every-#", "image": "every:1", "restartPolicy": "Always"}},
	"image":                    {"every:1"},
	"reference":                {"every:1"},
	"mountPath":                {"/every-#"},
	"devicePath":               {"/dev/every-#"},
	"matchExpressions":         {[]any{m{"key": "every", "operator": "In", "values": []any{"every"}}}},
	"matchFields":              {[]any{m{"key": "metadata.name", "operator": "In", "values": []any{"every"}}}},
	"envFrom":                  {[]any{m{"configMapRef": m{"name": "every"}}}},
	"envFrom[].secretRef":      {m{"name": "every"}},
	"valueFrom":                {m{"fieldRef": m{"fieldPath": "metadata.name"}}},
	"resourceFieldRef":         {m{"resource": "limits.cpu", "containerName": "every"}},
	"fieldPath":                {"metadata.name"},
	"divisor":                  {"1"},
	"resizePolicy":             {[]any{m{"resourceName": "cpu", "restartPolicy": "NotRequired"}}},
	"limits":                   {m{"cpu": "1"}},
	"requests":                 {m{"cpu": "1"}},
	"overhead":                 {m{"cpu": "1"}},
	"restartPolicy":            {"Always", "OnFailure", "Never"},
	"restartPolicyRules":       {[]any{m{"action": "Restart", "exitCodes": m{"operator": "In", "values": []any{1}}}}},
	"volumes[]":                {m{"name": "every-#", "emptyDir": m{}}},
	"os":                       {m{"name": "linux"}},
	"claims":                   {[]any{m{"name": "every"}}},
	"resourceClaims":           {[]any{m{"name": "every", "resourceClaimTemplateName": "every"}}},
	"volumeDevices":            {[]any{m{"name": "every-claim", "devicePath": "/dev/every"}}},
	"volumeMounts":             {[]any{m{"name": "every-scratch", "mountPath": "/every"}}},
	"seLinuxChangePolicy":      {"Recursive"},
	"azureDisk":                {m{"diskName": "every", "diskURI": "https://every.blob.core.windows.net/every/every.vhd"}},
	"downwardAPI.items":        {[]any{m{"path": "every", "fieldRef": m{"fieldPath": "metadata.name"}}}},
	"volumeClaimTemplate":      {m{"spec": m{"accessModes": []any{"ReadWriteOnce"}, "resources": m{"requests": m{"storage": "1Gi"}}}}},
	"fc":                       {m{"targetWWNs": []any{"every"}, "lun": 1}},
	"fc.wwids":                 {[]any{"every"}},
	"iscsi":                    {m{"targetPortal": "10.1.2.3:3260", "iqn": "iqn.2026-01.com.example:every", "lun": 0}},
	"initiatorName":            {"iqn.2026-01.com.example:every"},
	"nfs":                      {m{"server": "every.example.com", "path": "/every"}},
	"registry":                 {"every.example.com:7861"},
	"scaleIO":                  {m{"gateway": "https://every.example.com", "system": "every", "secretRef": m{"name": "every"}, "volumeName": "every"}},
}

var podFits = []func(map[string]any){
	func(map[string]any) {},
	func(template map[string]any) {
		putAt(template, []any{"spec", "restartPolicy"}, "Always")
		dropAt(template, []any{"spec", "activeDeadlineSeconds"})
	},
	func(template map[string]any) { putAt(template, []any{"spec", "restartPolicy"}, "Never") },
}
