{{/* What turns the library's sidecar into a Deployment of its own. */}}

{{/*
The values for the library's templates, as JSON. Each upstream accepts the Service's names in Host, which only this chart
knows: they are the cluster's own, so no web page comes by them.
*/}}
{{- define "cognito-sidecar.values" -}}
{{- $values := deepCopy .Values -}}
{{- $service := printf "%s.%s.svc" (include "cognito-sidecar.fullname" .) .Release.Namespace -}}
{{- $names := list (include "cognito-sidecar.fullname" .) (trimSuffix ".svc" $service) $service (printf "%s.%s" $service .Values.service.clusterDomain) -}}
{{- range $values.config.upstreams -}}
{{-   $hosts := .hosts | default list -}}
{{-   $_ := set . "hosts" (ternary $hosts (concat $hosts $names | uniq) (has "*" $hosts)) -}}
{{- end -}}
{{- $values | toJson -}}
{{- end -}}

{{/* Seconds that a pod needs to end: it goes on accepting, then drains, then a little for its end. */}}
{{- define "cognito-sidecar.secondsToEnd" -}}
{{- $shutdown := .Values.config.shutdown | default dict -}}
{{- $delay := include "cognito-sidecar.seconds" ($shutdown.delay | default "0s") | int -}}
{{- $grace := include "cognito-sidecar.seconds" (ternary $shutdown.grace "25s" (hasKey $shutdown "grace")) | int -}}
{{- add $delay $grace 5 -}}
{{- end -}}

{{/* Mistakes between this chart's own values, as in the library's _checks.tpl, with those that the library finds. */}}
{{- define "cognito-sidecar.checkAll" -}}
{{- $problems := list (include "cognito-sidecar.problems.monitoring" .) -}}
{{- if .Values.deployment.enabled -}}
{{-   $sidecar := dict "root" . "values" (include "cognito-sidecar.values" . | fromJson) "name" (include "cognito-sidecar.fullname" .) -}}
{{-   $problems = append $problems (include "cognito-sidecar.problems" (include "cognito-sidecar.scope" $sidecar | fromJson)) -}}
{{-   $problems = append $problems (include "cognito-sidecar.problems.deployment" .) -}}
{{- end -}}
{{- join "" $problems | trim | include "cognito-sidecar.fail" -}}
{{- end -}}

{{- define "cognito-sidecar.problems.monitoring" -}}
{{- if not .Values.deployment.enabled }}
{{- range $name := list "autoscaling" "serviceMonitor" }}
{{- if (get $.Values $name).enabled }}
{{ $name }}.enabled: it is for a Deployment, and deployment.enabled is false: set it to false{{ if eq $name "serviceMonitor" }}, and podMonitor.enabled to true for sidecars{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.prometheusRule.enabled (not (.Files.Get "files/alerts.yaml")) }}
prometheusRule.enabled: this chart comes without files/alerts.yaml: set it to false
{{- end }}
{{- if and .Values.dashboard.enabled (not (.Files.Get "files/dashboard.json")) }}
dashboard.enabled: this chart comes without files/dashboard.json: set it to false
{{- end }}
{{- end -}}

{{- define "cognito-sidecar.problems.deployment" -}}
{{- with .Values.podSecurityContext }}
{{- if and .runAsNonRoot (eq (toString .runAsUser) "0") }}
podSecurityContext.runAsUser: 0 is root, and runAsNonRoot keeps the pods from starting: leave it at 10001, or set it to another number
{{- end }}
{{- end }}
{{- if and (eq (.Values.strategy.type | default "RollingUpdate") "Recreate") .Values.strategy.rollingUpdate }}
strategy.rollingUpdate: it is for the type RollingUpdate, and the type is Recreate: set it to null
{{- end }}
{{- $volumes := include "cognito-sidecar.mounts" .Values | fromJson | keys -}}
{{- range .Values.extraVolumes }}{{ $volumes = append $volumes .name }}{{ end -}}
{{- range .Values.extraVolumeMounts }}
{{- if not (has .name $volumes) }}
extraVolumeMounts: there is no volume {{ .name }}: add it to extraVolumes
{{- end }}
{{- end }}
{{- $policy := .Values.networkPolicy -}}
{{- $open := list -}}
{{- range $policy.egressPorts }}{{ $open = append $open (toString .) }}{{ end -}}
{{- range $name, $upstream := .Values.config.upstreams }}
{{- $address := include "cognito-sidecar.address" $upstream.listen | fromJson }}
{{- if $address.unix }}
config.upstreams.{{ $name }}.listen: no other pod reaches a unix socket: write 0.0.0.0:8080
{{- else if $address.loopback }}
config.upstreams.{{ $name }}.listen: no other pod reaches {{ $upstream.listen }}: write 0.0.0.0:{{ $address.port }}
{{- end }}
{{- range include "cognito-sidecar.portsOfUpstream" $upstream | splitList " " }}
{{- if and . $policy.enabled (not (has . $open)) }}
networkPolicy.egressPorts: the upstream {{ $name }} needs port {{ . }}: add it
{{- end }}
{{- end }}
{{- end }}
{{- range .Values.extraEnv }}
{{- if and $policy.enabled (has (upper .name) (list "HTTPS_PROXY" "HTTP_PROXY")) (regexMatch ":[0-9]+/?$" (.value | default "")) }}
{{- $port := regexFind "[0-9]+" (regexFind ":[0-9]+/?$" .value) }}
{{- if not (has $port $open) }}
networkPolicy.egressPorts: {{ .name }} of extraEnv needs port {{ $port }}: add it
{{- end }}
{{- end }}
{{- end }}
{{- $cache := .Values.config.token_cache | default dict }}
{{- if and $policy.enabled (kindIs "map" $cache.url) (not $policy.tokenCachePorts) }}
networkPolicy.tokenCachePorts: the port in config.token_cache.url is not in the values, so the pods would not reach the engine: name it, such as [6379]
{{- end }}
{{- range $key := list "tokenCacheTo" "tokenCachePorts" }}
{{- if and (get $policy $key) (not $cache) }}
networkPolicy.{{ $key }}: it is for config.token_cache, and there is none: leave it out
{{- end }}
{{- end }}
{{- if not .Values.config.allow_remote_clients }}
config.allow_remote_clients: callers of a Deployment are in other pods: set it to true, and see networkPolicy and config.require_header for who they may be
{{- end }}
{{- if not (or .Values.networkPolicy.enabled .Values.config.require_header .Values.anyCaller) }}
networkPolicy.enabled: every pod of the cluster could use the credential: set it to true, or config.require_header, or, if that is what you want, anyCaller to true
{{- end }}
{{- $admin := include "cognito-sidecar.admin" .Values.config | fromJson }}
{{- if and .Values.serviceMonitor.enabled $admin.loopback }}
serviceMonitor.enabled: config.admin.listen is on loopback, where Prometheus does not come: set it to 0.0.0.0:9090
{{- end }}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
autoscaling.minReplicas: {{ .Values.autoscaling.minReplicas }} is more than maxReplicas, {{ .Values.autoscaling.maxReplicas }}: swap them
{{- end }}
{{- $budget := .Values.podDisruptionBudget }}
{{- $least := ternary .Values.autoscaling.minReplicas .Values.replicas .Values.autoscaling.enabled | int }}
{{- if not $budget.enabled }}
{{- else if and (not (kindIs "invalid" $budget.minAvailable)) (not (kindIs "invalid" $budget.maxUnavailable)) }}
podDisruptionBudget.minAvailable: maxUnavailable is set as well: set one of them to null
{{- else if and (kindIs "invalid" $budget.minAvailable) (kindIs "invalid" $budget.maxUnavailable) }}
podDisruptionBudget.maxUnavailable: it is null, and so is minAvailable: set one of them, or enabled to false
{{- else if and (regexMatch "^[0-9]+$" (toString $budget.minAvailable)) (ge (int $budget.minAvailable) $least) }}
podDisruptionBudget.minAvailable: {{ $budget.minAvailable }} of {{ $least }} pods would never let a node be drained: set it to less
{{- else if or (eq (toString $budget.maxUnavailable) "0") (eq (toString $budget.maxUnavailable) "0%") (eq (toString $budget.minAvailable) "100%") }}
podDisruptionBudget: no node could be drained: let one pod be unavailable
{{- end }}
{{- $needed := include "cognito-sidecar.secondsToEnd" . | int }}
{{- with .Values.terminationGracePeriodSeconds }}
{{- if lt (int .) $needed }}
terminationGracePeriodSeconds: config.shutdown needs {{ $needed }} s (delay, grace and 5 s): set it to that, or to null
{{- end }}
{{- end }}
{{- end -}}

{{/* The ports that an upstream's connections go to, as far as its URLs stand in the values. */}}
{{- define "cognito-sidecar.portsOfUpstream" -}}
{{- $ports := list -}}
{{- $urls := ternary (list .egress_proxy) (list .url .auth.token_url) (and (kindIs "string" .egress_proxy) (ne (toString .egress_proxy) "none")) -}}
{{- range $urls -}}
{{-   if kindIs "string" . -}}
{{-     $url := urlParse (lower .) -}}
{{-     $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) -}}
{{-     $ports = append $ports ($port | default (ternary "443" "80" (eq $url.scheme "https"))) -}}
{{-   end -}}
{{- end -}}
{{- $ports | uniq | join " " -}}
{{- end -}}

{{/*
The ports of the token cache's engine, from the values: {"ports": [6379]}; none where it is not reached by a port, and
where nobody has said which.
*/}}
{{- define "cognito-sidecar.portsOfTokenCache" -}}
{{- $ports := list -}}
{{- with .config.token_cache -}}
{{-   $url := kindIs "string" .url | ternary .url "" | toString -}}
{{-   if $.networkPolicy.tokenCachePorts -}}
{{-     range $.networkPolicy.tokenCachePorts -}}{{- $ports = append $ports (int .) -}}{{- end -}}
{{-   else if and $url (not (hasPrefix "unix:" $url)) -}}
{{-     range regexFindAll ":[0-9]+(/|,|$)" $url -1 -}}
{{-       $ports = append $ports (regexFind "[0-9]+" . | int) -}}
{{-     end -}}
{{-     if contains "+sentinel" $url -}}
{{-       $ports = concat $ports (list 26379 6379) -}}
{{-     else if not $ports -}}
{{-       $ports = list 6379 -}}
{{-     end -}}
{{-   end -}}
{{- end -}}
{{- dict "ports" ($ports | uniq) | toJson -}}
{{- end -}}
