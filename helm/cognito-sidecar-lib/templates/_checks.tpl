{{/*
Mistakes that lie between values, which no schema sees. Each is a line with the path of the value and what to do, and all
come at once. Of what is wrong within `config` alone, _certain.tpl has what is sure and cheap to see; the sidecar itself
says all of it (`cognito-sidecar check`).
*/}}

{{/* Fails with everything that is wrong. It takes a scope. The chart cognito-sidecar adds checks, and fails by itself. */}}
{{- define "cognito-sidecar.check" -}}
{{- if not .standalone -}}
{{-   include "cognito-sidecar.problems" . | trim | include "cognito-sidecar.fail" -}}
{{- end -}}
{{- end -}}

{{- define "cognito-sidecar.fail" -}}
{{- with . -}}
{{-   fail (printf "\n\n  %s\n" (replace "\n" "\n  " .)) -}}
{{- end -}}
{{- end -}}

{{- define "cognito-sidecar.problems" -}}
{{- $config := printf "%sconfig" .at -}}
{{- if not .values.config.upstreams }}
{{ $config }}.upstreams: at least one upstream is needed: write it as in config.example.yaml
{{- end }}
{{- include "cognito-sidecar.problems.place" . }}
{{- include "cognito-sidecar.problems.sources" . }}
{{- include "cognito-sidecar.problems.listeners" . }}
{{- include "cognito-sidecar.problems.volumes" . }}
{{- include "cognito-sidecar.problems.certain" . }}
{{- include "cognito-sidecar.problems.literals" . }}
{{- end -}}

{{/* A quantity as a number: 128Mi, 20m, 1. */}}
{{- define "cognito-sidecar.quantity" -}}
{{- $text := toString . -}}
{{- $units := dict "n" 1e-9 "u" 1e-6 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 -}}
{{- $units = merge $units (dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776) -}}
{{- mulf (regexFind "^[0-9.]+([eE][-+]?[0-9]+)?" $text | float64) (get $units (regexFind "[a-zA-Z]+$" $text) | default 1 | float64) -}}
{{- end -}}

{{- define "cognito-sidecar.problems.place" -}}
{{- range $name, $limit := .values.resources.limits }}
{{- $request := dig "requests" $name nil $.values.resources }}
{{- if and (not (kindIs "invalid" $limit)) (not (kindIs "invalid" $request)) (gt (include "cognito-sidecar.quantity" $request | float64) (include "cognito-sidecar.quantity" $limit | float64)) }}
{{ $.at }}resources.limits.{{ $name }}: {{ $limit }} is less than what resources.requests asks for, {{ $request }}: raise it, or set it to null
{{- end }}
{{- end }}
{{- with .values.securityContext }}
{{- if and .runAsNonRoot (hasKey . "runAsUser") (eq (toString .runAsUser) "0") }}
{{ $.at }}securityContext.runAsUser: 0 is root, and runAsNonRoot keeps the container from starting: leave it at 10001, or set it to another number
{{- end }}
{{- end }}
{{- if and .values.native (not .standalone) (semverCompare "<1.29.0-0" .kubeVersion) }}
{{ .at }}native: native sidecars need Kubernetes 1.29, and this is {{ .kubeVersion }}: set it to false, and put the container under `containers`
{{- end }}
{{- if and .values.existingSecret .values.existingSecrets }}
{{ .at }}existingSecrets: existingSecret is set as well: name it here too, under a name of its own
{{- end }}
{{- $admin := include "cognito-sidecar.admin" .values.config | fromJson }}
{{- if and .values.prometheusAnnotations $admin.loopback }}
{{ .at }}prometheusAnnotations: {{ .at }}config.admin.listen is on loopback, where Prometheus does not come: set it to 0.0.0.0:9090
{{- end }}
{{- end -}}

{{/* Files and variables that the configuration reads: is there what they come from, and is there anything for nothing? */}}
{{- define "cognito-sidecar.problems.sources" -}}
{{- $scope := . -}}
{{- $values := .values -}}
{{- $secrets := printf "%s/" (include "cognito-sidecar.secretsDirectory" .) -}}
{{- $bundles := printf "%s/" (include "cognito-sidecar.caDirectory" .) -}}
{{- $variables := list -}}
{{- range $values.extraEnv }}{{ $variables = append $variables .name }}{{ end -}}
{{- $read := list -}}
{{- range splitList "\n" (include "cognito-sidecar.sources" (dict "value" $values.config "path" (printf "%sconfig" .at))) }}
{{- with fromJson (. | default "{}") }}
{{- if eq (.kind | default "") "env" }}
{{- if not (or $values.extraEnvFrom (has .name $variables) (hasPrefix "AWS_" .name)) }}
{{ .path }}: nothing sets the environment variable {{ .name }}: add it to {{ $scope.at }}extraEnv, or read a file of a Secret
{{- end }}
{{- else if .kind }}
{{- $read = append $read .name }}
{{- $directory := trimPrefix $secrets .name | dir }}
{{- if not (hasPrefix "/" .name) }}
{{ .path }}: {{ .name }} is relative to /etc/cognito-sidecar, where nothing but config.yaml is: write the whole path
{{- else if hasPrefix $secrets .name }}
{{- if and (eq $directory ".") (not $values.existingSecret) }}
{{ .path }}: {{ .name }} is in no Secret: set {{ $scope.at }}existingSecret to the name of the Secret that has the key {{ base .name }}
{{- else if and (ne $directory ".") (not (hasKey $values.existingSecrets $directory)) }}
{{ .path }}: {{ .name }} is in no Secret: set {{ $scope.at }}existingSecrets.{{ $directory }} to the name of the Secret that has the key {{ base .name }}
{{- end }}
{{- else if and (hasPrefix $bundles .name) (not (hasKey $values.caBundles (trimPrefix $bundles .name | dir))) }}
{{ .path }}: {{ .name }} is in no bundle: set {{ $scope.at }}caBundles.{{ trimPrefix $bundles .name | dir }} to {configMap: NAME} or {secret: NAME}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- $directories := list }}
{{- range $read }}{{ $directories = append $directories (dir .) }}{{ end }}
{{- if and .values.existingSecret (not (has (trimSuffix "/" $secrets) $directories)) }}
{{ .at }}existingSecret: nothing in {{ .at }}config reads it: write {file: {{ $secrets }}KEY} where a value of it belongs
{{- end }}
{{- range $name, $_ := .values.existingSecrets }}
{{- if not (has (print $secrets $name) $directories) }}
{{ $scope.at }}existingSecrets.{{ $name }}: nothing in {{ $scope.at }}config reads it: write {file: {{ $secrets }}{{ $name }}/KEY} where a value of it belongs
{{- end }}
{{- end }}
{{- range $name, $bundle := .values.caBundles }}
{{- if not (has (print $bundles $name) $directories) }}
{{ $scope.at }}caBundles.{{ $name }}: nothing in {{ $scope.at }}config reads it: write `ca_file: {{ $bundles }}{{ $name }}/KEY` under an upstream's tls
{{- end }}
{{- end }}
{{- end -}}

{{- define "cognito-sidecar.problems.listeners" -}}
{{- $scope := . -}}
{{- $mounted := list (include "cognito-sidecar.socketDirectory" .) -}}
{{- range .values.extraVolumeMounts }}{{ $mounted = append $mounted (trimSuffix "/" .mountPath) }}{{ end -}}
{{- $admin := include "cognito-sidecar.admin" .values.config | fromJson -}}
{{- if and $admin.unix (not (has (dir $admin.unix) $mounted)) }}
{{ $scope.at }}config.admin.listen: {{ dir $admin.unix }} cannot be written to: listen on {{ first $mounted }}/{{ base $admin.unix }}, which is a directory in memory, or mount a volume there
{{- end }}
{{- if and (not $admin.loopback) (eq (int $admin.port) 0) }}
{{ $scope.at }}config.admin.listen: probes and Prometheus have to know the port, and 0 is any: write 0.0.0.0:9090
{{- end }}
{{- range $name, $upstream := .values.config.upstreams }}
{{- $path := printf "%sconfig.upstreams.%s.listen" $scope.at $name }}
{{- $address := include "cognito-sidecar.address" $upstream.listen | fromJson }}
{{- if and $address.unix (not (has (dir $address.unix) $mounted)) }}
{{ $path }}: {{ dir $address.unix }} cannot be written to: listen on {{ first $mounted }}/{{ base $address.unix }}, whose directory the app can share, or mount a volume there
{{- else if and $address.unix $address.narrow (not $scope.standalone) }}
{{ $path }}: only the sidecar's own user could connect: write {unix: {{ $address.unix }}, mode: "0666"}, since no other container than yours mounts the directory, or {unix: …, group: the pod's fsGroup}
{{- end }}
{{- if and $address.unix (eq $address.unix $admin.unix) }}
{{ $path }}: {{ $address.unix }} is the socket of {{ $scope.at }}config.admin.listen: give one of them another
{{- else if $address.unix }}
{{- else if eq (int $address.port) 0 }}
{{ $path }}: callers have to know the port, and 0 is any: write {{ $address.host }}:8080
{{- else if eq (int $address.port) (int $admin.port) }}
{{ $path }}: {{ int $address.port }} is the port of {{ $scope.at }}config.admin.listen: give one of them another
{{- end }}
{{- if not (or $address.loopback $scope.standalone $scope.values.config.allow_remote_clients) }}
{{ $path }}: {{ $address.host }} is not loopback, and whoever reaches it can use the credential: listen on 127.0.0.1, or set {{ $scope.at }}config.allow_remote_clients to true
{{- end }}
{{- end }}
{{- end -}}

{{/* Volumes and mounts that somebody adds, beside the chart's own: Kubernetes refuses a name or a path that is there twice. */}}
{{- define "cognito-sidecar.problems.volumes" -}}
{{- $at := .at -}}
{{- $mounts := include "cognito-sidecar.mounts" .values | fromJson -}}
{{- $names := keys $mounts -}}
{{- range .values.extraVolumes }}
{{- if has .name $names }}
{{ $at }}extraVolumes: there is a volume {{ .name }} already{{ if hasKey $mounts .name }}, the chart's own{{ end }}: give this one another name
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- $paths := values $mounts -}}
{{- range .values.extraVolumeMounts }}
{{- $path := trimSuffix "/" .mountPath }}
{{- if has $path $paths }}
{{ $at }}extraVolumeMounts: {{ $path }} is mounted already{{ if has $path (values $mounts) }}, by the chart{{ end }}: mount {{ .name }} at another path
{{- end }}
{{- $paths = append $paths $path }}
{{- end }}
{{- end -}}
