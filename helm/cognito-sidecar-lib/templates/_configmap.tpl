{{/* The ConfigMap with the sidecar's configuration, a document of its own. */}}
{{- define "cognito-sidecar.configmap" -}}
{{- $scope := include "cognito-sidecar.scope" . | fromJson -}}
{{- include "cognito-sidecar.check" $scope -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $scope.configMap }}
  namespace: {{ $scope.namespace }}
  labels:
    app.kubernetes.io/name: cognito-sidecar
    app.kubernetes.io/instance: {{ $scope.release }}
    app.kubernetes.io/managed-by: Helm
data:
  config.yaml: |
    {{- toYaml $scope.values.config | nindent 4 }}
{{- end -}}
