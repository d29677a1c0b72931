{{- /* The names below are a contract: the VS Code extension, `kubectl kube9`, the reader Role and the program itself look for
them. So there is no nameOverride, and one release in a namespace. */ -}}

{{- define "kube9.name" -}}kube9-operator{{- end }}

{{- define "kube9.status" -}}kube9-operator-status{{- end }}

{{- /* Of objects that no namespace keeps apart. */ -}}
{{- define "kube9.clusterName" -}}
{{ include "kube9.name" . }}:{{ .Release.Namespace }}
{{- end }}

{{- define "kube9.selector" -}}
app.kubernetes.io/name: {{ include "kube9.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Of every object. What is fixed wins over what values add: a key that stands twice is no YAML. */ -}}
{{- define "kube9.labels" -}}
{{- $chart := dict "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/version" .Chart.AppVersion
  "helm.sh/chart" (printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_")) -}}
{{ merge (include "kube9.selector" . | fromYaml) $chart .Values.extraLabels | toYaml }}
{{- end }}

{{- define "kube9.image" -}}
{{- with .Values.image -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}
{{- end }}

{{- define "kube9.claim" -}}
{{ .Values.persistence.existingClaim | default (printf "%s-data" (include "kube9.name" .)) }}
{{- end }}

{{- /* Whether a policy keeps readers out of the container `recorder`: it needs a cluster that knows it, and is of the cluster. */ -}}
{{- define "kube9.restrictsExec" -}}
{{- $known := .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy" }}
{{- and .Values.reader.restrictExec (not .Values.watch.namespace) $known }}
{{- end }}
