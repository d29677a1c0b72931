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
