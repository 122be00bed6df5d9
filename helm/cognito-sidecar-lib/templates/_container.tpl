{{/*
The sidecar's container: under `initContainers`, as the first of them, so that those after it can use it already; with
`native: false` under `containers`.

It has no preStop hook: the kubelet would run that when the pod begins to end, while the app is still at work. SIGTERM
reaches a native sidecar when the app has gone.
*/}}
{{- define "cognito-sidecar.container" -}}
{{- $scope := include "cognito-sidecar.scope" . | fromJson -}}
{{- include "cognito-sidecar.check" $scope -}}
{{- $values := $scope.values -}}
{{- $admin := include "cognito-sidecar.admin" $values.config | fromJson -}}
{{- $ports := (include "cognito-sidecar.ports" $values.config | fromJson).ports -}}
- name: cognito-sidecar
  image: {{ include "cognito-sidecar.image" $values | quote }}
  imagePullPolicy: {{ $values.image.pullPolicy }}
  args: [run]
  {{- if and $values.native (not $scope.standalone) }}
  restartPolicy: Always
  {{- end }}
  {{- with $values.extraEnv }}
  env:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.extraEnvFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if or $ports (not $admin.loopback) }}
  ports:
    {{- range $ports }}
    - name: http-{{ . }}
      containerPort: {{ . }}
    {{- end }}
    {{- if not $admin.loopback }}
    - name: cognito-metrics
      containerPort: {{ int $admin.port }}
    {{- end }}
  {{- end }}
  {{- /* A pod that is nothing but the sidecar holds up nobody at its start: tokens are for its readiness to tell. */}}
  {{- include "cognito-sidecar.probe" (list "startup" (ternary "/livez" "/startupz" $scope.standalone) $values.probes.startup $admin.loopback) }}
  {{- include "cognito-sidecar.probe" (list "liveness" "/livez" $values.probes.liveness $admin.loopback) }}
  {{- include "cognito-sidecar.probe" (list "readiness" "/readyz" $values.probes.readiness $admin.loopback) }}
  {{- with $values.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml $values.securityContext | nindent 4 }}
  volumeMounts:
    {{- range $name, $path := include "cognito-sidecar.mounts" $values | fromJson }}
    - name: {{ $name }}
      mountPath: {{ $path }}
      {{- if ne $name "cognito-sidecar-socket" }}
      readOnly: true
      {{- end }}
    {{- end }}
    {{- with $values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "cognito-sidecar.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default (include "cognito-sidecar.version" .) }}
{{- end -}}
{{- end -}}

{{/*
One probe, from a list of its name, path, values and whether the admin listener is on loopback. The kubelet asks by the
pod's address, which a listener on loopback does not hear; there the probe runs `healthcheck` in the container.
*/}}
{{- define "cognito-sidecar.probe" -}}
{{- $values := index . 2 -}}
{{- if $values.enabled }}
  {{ index . 0 }}Probe:
    {{- if index . 3 }}
    exec:
      command: [cognito-sidecar, healthcheck, --{{ index . 1 | trimPrefix "/" | trimSuffix "z" }}]
    {{- else }}
    httpGet:
      path: {{ index . 1 }}
      port: cognito-metrics
    {{- end }}
    {{- omit $values "enabled" | toYaml | nindent 4 }}
{{- end }}
{{- end -}}
