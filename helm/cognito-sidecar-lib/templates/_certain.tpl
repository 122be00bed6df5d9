{{/*
Mistakes that lie within `config` and are sure: whatever else is there, the sidecar would not start, or whoever reads the
ConfigMap would read a secret. `cognito-sidecar check` finds what the sidecar refuses, these and all others.
*/}}

{{- define "cognito-sidecar.problems.certain" -}}
{{- $scope := . -}}
{{- $places := dict -}}
{{- range $name, $upstream := .values.config.upstreams }}
{{- $path := printf "%sconfig.upstreams.%s" $scope.at $name }}
{{- $address := include "cognito-sidecar.address" $upstream.listen | fromJson }}
{{- $listen := ternary $address.unix (printf "%s:%d" $address.host (int $address.port)) (ne $address.unix "") }}
{{- $place := printf "%s %s" $listen ($upstream.prefix | default "/" | trimSuffix "/") }}
{{- with get $places $place }}
{{ $path }}.prefix: {{ $scope.at }}config.upstreams.{{ . }} has the same listen and prefix: give one of them another
{{- end }}
{{- $_ := set $places $place $name }}
{{- range $key, $url := dict "url" $upstream.url "auth.token_url" $upstream.auth.token_url }}
{{- if and (kindIs "string" $url) (hasPrefix "http://" (toString $url | lower)) (not $upstream.allow_insecure) }}
{{- if not (include "cognito-sidecar.loopback" (urlParse (lower $url)).hostname) }}
{{ $path }}.{{ $key }}: plain http to a host that is not loopback sends a credential in clear: use https, or set {{ $path }}.allow_insecure to true
{{- end }}
{{- end }}
{{- end }}
{{- $peers := ternary $scope.values.config.allow_peers $upstream.allow_peers (kindIs "invalid" $upstream.allow_peers) | default dict }}
{{- if and (not $address.unix) (or $peers.uids $peers.gids) }}
{{ $path }}.allow_peers: peers are known on unix sockets only, and {{ $path }}.listen is {{ $listen }}: {{ if not $scope.standalone }}listen on a unix socket, or {{ end }}{{ if $upstream.allow_peers }}leave this out{{ else }}set this to {}, for everybody{{ end }}
{{- end }}
{{- end }}
{{- end -}}

{{/*
Secrets that stand in the values themselves, and so would in the ConfigMap. A header's or form field's value may be
anything, so the name decides. An id and the name of a user are no secrets.
*/}}
{{- define "cognito-sidecar.problems.literals" -}}
{{- $config := printf "%sconfig" .at -}}
{{- $read := "whoever reads the ConfigMap would read" -}}
{{- $fix := printf "put it into the Secret that existingSecret names, and write {file: %s/KEY}" (include "cognito-sidecar.secretsDirectory" .) -}}
{{- range $name, $upstream := .values.config.upstreams }}
{{- $path := printf "%s.upstreams.%s" $config $name }}
{{- range $key, $url := dict "url" $upstream.url "auth.token_url" $upstream.auth.token_url }}
{{- if and (kindIs "string" $url) (regexMatch "^[^/]*//[^/?#]*@" (toString $url)) }}
{{ $path }}.{{ $key }}: {{ $read }} the user and the password, and no URL here may have them: leave them out
{{- end }}
{{- end }}
{{- $secret := $upstream.auth.client_secret }}
{{- range $one := ternary $secret (list $secret) (kindIs "slice" $secret) }}
{{- if kindIs "string" $one }}
{{ $path }}.auth.client_secret: {{ $read }} it: {{ $fix }}
{{- end }}
{{- end }}
{{- if and (kindIs "string" $upstream.egress_proxy) (contains "@" (toString $upstream.egress_proxy)) }}
{{ $path }}.egress_proxy: {{ $read }} the password: {{ $fix }}
{{- end }}
{{- range $key, $fields := dict "headers.set" (dig "headers" "set" (dict) $upstream) "auth.extra_params" $upstream.auth.extra_params }}
{{- range $field, $value := $fields }}
{{- if and (kindIs "string" $value) (regexMatch "(authorization|cookie|password|secret|token|assertion|(api|access|subscription)[-_]?key)$" (lower $field)) }}
{{ $path }}.{{ $key }}.{{ $field }}: {{ $read }} it: {{ $fix }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- with .values.config.require_header }}
{{- if kindIs "string" .value }}
{{ $config }}.require_header.value: {{ $read }} it: {{ $fix }}
{{- end }}
{{- end }}
{{- with .values.config.token_cache }}
{{- if and (kindIs "string" .url) (contains "@" (toString .url)) }}
{{ $config }}.token_cache.url: {{ $read }} the password: write the user as `username`, and for `password` {{ $fix }}
{{- end }}
{{- if kindIs "string" .password }}
{{ $config }}.token_cache.password: {{ $read }} it: {{ $fix }}
{{- end }}
{{- end }}
{{- end -}}
