{{/* What else the pod needs: volumes beside the container, the app's end of a unix socket, annotations. */}}

{{/*
The sidecar's volumes, for the pod's `volumes`. A Secret is mounted as a directory, since neither a variable nor a
subPath ever gets a new value.
*/}}
{{- define "cognito-sidecar.volumes" -}}
{{- $scope := include "cognito-sidecar.scope" . | fromJson -}}
{{- $values := $scope.values -}}
- name: cognito-sidecar-config
  configMap:
    name: {{ $scope.configMap }}
{{- with $values.existingSecret }}
{{ include "cognito-sidecar.secretVolume" (dict "name" "cognito-sidecar-secret" "secret" . "standalone" $scope.standalone) }}
{{- end }}
{{- range $name, $secret := $values.existingSecrets }}
{{ include "cognito-sidecar.secretVolume" (dict "name" (printf "cognito-sidecar-secret-%s" $name) "secret" $secret "standalone" $scope.standalone) }}
{{- end }}
{{- range $name, $bundle := $values.caBundles }}
- name: cognito-sidecar-ca-{{ $name }}
  {{- if $bundle.configMap }}
  configMap:
    name: {{ $bundle.configMap }}
  {{- else }}
  secret:
    secretName: {{ $bundle.secret }}
  {{- end }}
{{- end }}
{{- if include "cognito-sidecar.hasSocket" $values.config }}
- name: cognito-sidecar-socket
  emptyDir:
    # In memory: a socket needs no disk, and a pod with a directory on one is not moved by the cluster autoscaler.
    medium: Memory
    sizeLimit: 1Mi
{{- end }}
{{- with $values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "cognito-sidecar.secretVolume" -}}
- name: {{ .name }}
  secret:
    secretName: {{ .secret }}
    {{- if .standalone }}
    # For the group of the pod's fsGroup alone.
    defaultMode: 0440
    {{- else }}
    # Files of Secrets are root's unless the pod has an fsGroup, which is not for a sidecar to set, and the sidecar is not
    # root. Its container alone mounts this volume.
    defaultMode: 0444
    {{- end }}
{{- end -}}

{{/* For the `volumeMounts` of your app's container: the directory of unix sockets that the sidecar listens on. */}}
{{- define "cognito-sidecar.socketMount" -}}
{{- $scope := include "cognito-sidecar.scope" . | fromJson -}}
{{- if not (include "cognito-sidecar.hasSocket" $scope.values.config) -}}
{{-   include "cognito-sidecar.fail" (printf "%sconfig.upstreams: cognito-sidecar.socketMount is for listeners on unix sockets, and there is none: write `listen: {unix: %s/NAME.sock, mode: \"0666\"}`" $scope.at (include "cognito-sidecar.socketDirectory" .)) -}}
{{- end -}}
- name: cognito-sidecar-socket
  mountPath: {{ include "cognito-sidecar.socketDirectory" . }}
  # Connecting needs no more, and so nothing but the sidecar can put another socket in its place.
  readOnly: true
{{- end -}}

{{/* For the pod's annotations. Nothing here changes with the configuration, which is taken up without a restart. */}}
{{- define "cognito-sidecar.annotations" -}}
{{- $scope := include "cognito-sidecar.scope" . | fromJson -}}
{{- $values := $scope.values -}}
{{- $annotations := dict -}}
{{- with $values.appContainer -}}
{{-   $_ := set $annotations "kubectl.kubernetes.io/default-container" . -}}
{{- end -}}
{{- if $values.prometheusAnnotations -}}
{{-   $_ := set $annotations "prometheus.io/scrape" "true" -}}
{{-   $_ := set $annotations "prometheus.io/path" "/metrics" -}}
{{-   $_ := set $annotations "prometheus.io/port" ((include "cognito-sidecar.admin" $values.config | fromJson).port | toString) -}}
{{- end -}}
{{- with $annotations -}}
{{-   toYaml . -}}
{{- end -}}
{{- end -}}
