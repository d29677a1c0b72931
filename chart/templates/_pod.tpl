{{- /* No version of the chart: a pod need not be made anew for it. */ -}}
{{- define "kube9.podLabels" -}}
{{ merge (include "kube9.selector" . | fromYaml) .Values.podLabels .Values.extraLabels | toYaml }}
{{- end }}

{{- /* What both containers need. */ -}}
{{- define "kube9.env" -}}
- name: DB_PATH
  value: /data
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- range $what := list "queries" "rules" }}
{{- with index $.Values $what }}
{{- if or .files .configMaps }}
- name: KUBE9_{{ upper $what }}
  value: /etc/kube9/{{ $what }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.watch.namespace }}
- name: KUBE9_NAMESPACE
  value: {{ . | quote }}
{{- end }}
{{- with .Values.record }}
- name: KUBE9_RECORD
  value: {{ .mode | quote }}
{{- with .reasons }}
- name: KUBE9_RECORD_REASONS
  value: {{ join "," . | quote }}
{{- end }}
{{- with .skipReasons }}
- name: KUBE9_SKIP_REASONS
  value: {{ join "," . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- /* What the recorder needs beside it. */ -}}
{{- define "kube9.recorderEnv" -}}
- name: SQLITE_TMPDIR # it has no other place to write
  value: /data
- name: STATUS_CONFIGMAP
  value: {{ include "kube9.status" . }}
- name: HEALTH_PORT
  value: {{ .Values.healthPort | quote }}
- name: LOG_LEVEL
  value: {{ .Values.log.level | quote }}
- name: LOG_FORMAT
  value: {{ .Values.log.format | quote }}
- name: EVENT_RETENTION_INFO_WARNING_DAYS
  value: {{ .Values.retention.infoWarningDays | quote }}
- name: EVENT_RETENTION_ERROR_CRITICAL_DAYS
  value: {{ .Values.retention.errorCriticalDays | quote }}
- name: KUBE9_EVENT_TTL
  value: {{ .Values.eventTTL | quote }}
{{- end }}

{{- /* And what values add. One that is there already would be refused by the API server, which does not say why. */ -}}
{{- define "kube9.extraEnv" -}}
{{- $set := dict }}
{{- range concat (include "kube9.env" . | fromYamlArray) (include "kube9.recorderEnv" . | fromYamlArray) }}
{{- $_ := set $set .name true }}
{{- end }}
{{- range .Values.recorder.extraEnv }}
{{- if hasKey $set .name }}
{{- fail (printf "recorder.extraEnv: %s is set already: by the chart, or twice" .name) }}
{{- end }}
{{- $_ := set $set .name true }}
{{- end }}
{{- with .Values.recorder.extraEnv }}{{ toYaml . }}{{ end }}
{{- end }}

{{- define "kube9.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* A directory each for queries and rules of one's own, out of any number of ConfigMaps. */ -}}
{{- define "kube9.ownMounts" -}}
{{- range $what := list "queries" "rules" }}
{{- with index $.Values $what }}
{{- if or .files .configMaps }}
- name: {{ $what }}
  mountPath: /etc/kube9/{{ $what }}
  readOnly: true
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "kube9.ownVolumes" -}}
{{- range $what := list "queries" "rules" }}
{{- with index $.Values $what }}
{{- if or .files .configMaps }}
- name: {{ $what }}
  projected:
    sources:
      {{- if .files }}
      - configMap:
          name: {{ include "kube9.name" $ }}-{{ $what }}
      {{- end }}
      {{- range .configMaps }}
      - configMap:
          name: {{ . }}
      {{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
