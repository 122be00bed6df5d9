{{/* Names and labels. No version is in what selects pods: that can never change. */}}

{{- define "cognito-sidecar.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains "cognito-sidecar" .Release.Name -}}
{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-cognito-sidecar" (.Release.Name | trunc 47 | trimSuffix "-") }}
{{- end -}}
{{- end -}}

{{- define "cognito-sidecar.selectorLabels" -}}
app.kubernetes.io/name: cognito-sidecar
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Of the pod of `helm test`, which no Service and no Deployment takes for one of theirs. */}}
{{- define "cognito-sidecar.testLabels" -}}
app.kubernetes.io/name: cognito-sidecar-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "cognito-sidecar.testName" -}}
{{ include "cognito-sidecar.fullname" . | trunc 57 | trimSuffix "-" }}-ready
{{- end -}}

{{- define "cognito-sidecar.labels" -}}
{{ include "cognito-sidecar.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "cognito-sidecar.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "cognito-sidecar.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}
