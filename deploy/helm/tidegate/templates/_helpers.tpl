{{- define "tidegate.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag }}{{ end }}
{{- end -}}
{{- /* A pod begins anew when what it reads at its start has changed: the names of these ConfigMaps change with it. */ -}}
{{- define "tidegate.configuration" -}}
{{ list .Values.temporal .Values.cluster .Values.teams .Values.besideArgo | toJson | sha256sum | trunc 10 }}
{{- end -}}
