{{/* What the pod has to know of the configuration. Each takes plain data and gives JSON, or lines of it. */}}

{{/*
An address as the configuration writes it, to {unix, host, port, loopback}; `narrow` is true for a unix socket of which
nothing is said but its path: it is the sidecar's user's alone.
*/}}
{{- define "cognito-sidecar.address" -}}
{{- if kindIs "map" . -}}
{{-   dict "unix" .unix "host" "" "port" 0 "loopback" true "narrow" (not (or .mode .group .owner)) | toJson -}}
{{- else if hasPrefix "unix:" . -}}
{{-   dict "unix" (trimPrefix "unix:" .) "host" "" "port" 0 "loopback" true "narrow" true | toJson -}}
{{- else -}}
{{-   $host := regexReplaceAll ":[0-9]+$" . "" | trimPrefix "[" | trimSuffix "]" -}}
{{-   $loopback := include "cognito-sidecar.loopback" $host -}}
{{-   dict "unix" "" "host" $host "port" (regexFind "[0-9]+$" . | int) "loopback" (eq $loopback "true") "narrow" false | toJson -}}
{{- end -}}
{{- end -}}

{{/* Whether a host, without brackets, is this machine's own: "true" or "". */}}
{{- define "cognito-sidecar.loopback" -}}
{{- if or (eq . "localhost") (hasPrefix "127." .) (hasPrefix "::ffff:127." .) (regexMatch "^[0:]*:0*1$" .) -}}
true
{{- end -}}
{{- end -}}

{{/* The admin listener's address, from the configuration. */}}
{{- define "cognito-sidecar.admin" -}}
{{- dig "admin" "listen" "127.0.0.1:9090" . | include "cognito-sidecar.address" -}}
{{- end -}}

{{/* The ports off loopback that callers reach, from the configuration, in order: {"ports": [8080, 8081]}. */}}
{{- define "cognito-sidecar.ports" -}}
{{- $ports := list -}}
{{- range .upstreams -}}
{{-   $address := include "cognito-sidecar.address" .listen | fromJson -}}
{{-   if not $address.loopback -}}
{{-     $ports = append $ports (int $address.port) -}}
{{-   end -}}
{{- end -}}
{{- dict "ports" ($ports | uniq | sortAlpha) | toJson -}}
{{- end -}}

{{/* Whether any listener, the admin listener too, is a unix socket in the directory that the app can share: "true" or "". */}}
{{- define "cognito-sidecar.hasSocket" -}}
{{- $addresses := list (include "cognito-sidecar.admin" .) -}}
{{- range .upstreams -}}
{{-   $addresses = append $addresses (include "cognito-sidecar.address" .listen) -}}
{{- end -}}
{{- $found := "" -}}
{{- range $addresses -}}
{{-   if hasPrefix (printf "%s/" (include "cognito-sidecar.socketDirectory" .)) (fromJson .).unix -}}
{{-     $found = "true" -}}
{{-   end -}}
{{- end -}}
{{- $found -}}
{{- end -}}

{{/* The chart's own volumes and where its container mounts them, from the values: {name: path}. */}}
{{- define "cognito-sidecar.mounts" -}}
{{- $mounts := dict "cognito-sidecar-config" "/etc/cognito-sidecar" -}}
{{- if .existingSecret -}}
{{-   $_ := set $mounts "cognito-sidecar-secret" (include "cognito-sidecar.secretsDirectory" .) -}}
{{- end -}}
{{- range $name, $_ := .existingSecrets -}}
{{-   $_ := set $mounts (printf "cognito-sidecar-secret-%s" $name) (printf "%s/%s" (include "cognito-sidecar.secretsDirectory" $) $name) -}}
{{- end -}}
{{- range $name, $_ := .caBundles -}}
{{-   $_ := set $mounts (printf "cognito-sidecar-ca-%s" $name) (printf "%s/%s" (include "cognito-sidecar.caDirectory" $) $name) -}}
{{- end -}}
{{- if include "cognito-sidecar.hasSocket" .config -}}
{{-   $_ := set $mounts "cognito-sidecar-socket" (include "cognito-sidecar.socketDirectory" .) -}}
{{- end -}}
{{- $mounts | toJson -}}
{{- end -}}

{{/*
Every {file: …} and {env: …} below `value`, and every file of TLS, as lines of {path, kind, name}. `names` is true where
the keys are a user's own names (headers, form fields) and so no kinds of sources.
*/}}
{{- define "cognito-sidecar.sources" -}}
{{- $path := .path -}}
{{- if kindIs "map" .value -}}
{{-   $key := keys .value | first | toString -}}
{{-   $name := values .value | first -}}
{{-   if and (not .names) (eq (len .value) 1) (has $key (list "env" "file")) (kindIs "string" $name) -}}
{{-     dict "path" $path "kind" $key "name" $name | toJson }}
{{    else -}}
{{-     range $key, $value := .value -}}
{{-       $below := printf "%s.%s" $path $key -}}
{{-       if and (has $key (list "ca_file" "cert_file" "key_file")) (kindIs "string" $value) -}}
{{-         dict "path" $below "kind" "file" "name" $value | toJson }}
{{        else -}}
{{-         include "cognito-sidecar.sources" (dict "value" $value "path" $below "names" (has $key (list "set" "extra_params"))) -}}
{{-       end -}}
{{-     end -}}
{{-   end -}}
{{- else if kindIs "slice" .value -}}
{{-   range $index, $value := .value -}}
{{-     include "cognito-sidecar.sources" (dict "value" $value "path" (printf "%s[%d]" $path $index)) -}}
{{-   end -}}
{{- end -}}
{{- end -}}

{{/* Whole seconds, rounded up, of a duration as the configuration writes it: 250ms, 30s, 5m, 1h or plain seconds. */}}
{{- define "cognito-sidecar.seconds" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9.]+" $text | float64 -}}
{{- $unit := regexFind "[a-z]+$" $text | default "s" -}}
{{- $length := get (dict "ms" 0.001 "s" 1 "m" 60 "h" 3600) $unit -}}
{{- mulf $number $length | ceil | int -}}
{{- end -}}
