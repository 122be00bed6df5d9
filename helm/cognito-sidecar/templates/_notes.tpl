{{/* What NOTES.txt says of files: where they have to come from. Each takes the values. */}}

{{/* Every file that the configuration reads, once: {"files": ["/var/run/secrets/…"]}. */}}
{{- define "cognito-sidecar.files" -}}
{{- $files := list -}}
{{- range splitList "\n" (include "cognito-sidecar.sources" (dict "value" .config "path" "config")) -}}
{{-   with fromJson (. | default "{}") -}}
{{-     if eq (.kind | default "") "file" -}}
{{-       $files = append $files .name -}}
{{-     end -}}
{{-   end -}}
{{- end -}}
{{- dict "files" ($files | uniq | sortAlpha) | toJson -}}
{{- end -}}

{{/* The key of a Secret that a file is, from {values, file}: {secret, key}, or {} for another file. */}}
{{- define "cognito-sidecar.keyOfSecret" -}}
{{- $directory := include "cognito-sidecar.secretsDirectory" . -}}
{{- $secret := "" -}}
{{- if eq (dir .file) $directory -}}
{{-   $secret = .values.existingSecret -}}
{{- else if eq (dir .file | dir) $directory -}}
{{-   $secret = get .values.existingSecrets (dir .file | base) -}}
{{- end -}}
{{- ternary (dict "secret" $secret "key" (base .file)) dict (ne $secret "") | toJson -}}
{{- end -}}

{{/* The keys that each Secret has to have: {"orders-cognito": ["client_id", "client_secret"]}. */}}
{{- define "cognito-sidecar.keysOfSecrets" -}}
{{- $secrets := dict -}}
{{- range (include "cognito-sidecar.files" . | fromJson).files -}}
{{-   with include "cognito-sidecar.keyOfSecret" (dict "values" $ "file" .) | fromJson -}}
{{-     $_ := set $secrets .secret (append (get $secrets .secret | default list) .key) -}}
{{-   end -}}
{{- end -}}
{{- $secrets | toJson -}}
{{- end -}}

{{/* Files in no volume of the chart: {"files": ["/vault/secrets/key.pem"]}. */}}
{{- define "cognito-sidecar.filesOfOthers" -}}
{{- $paths := include "cognito-sidecar.mounts" . | fromJson | values -}}
{{- range .extraVolumeMounts -}}{{- $paths = append $paths (trimSuffix "/" .mountPath) -}}{{- end -}}
{{- $others := list -}}
{{- range $file := (include "cognito-sidecar.files" . | fromJson).files -}}
{{-   $held := false -}}
{{-   range $paths -}}
{{-     $held = or $held (eq . $file) (hasPrefix (printf "%s/" .) $file) -}}
{{-   end -}}
{{-   if not $held -}}
{{-     $others = append $others $file -}}
{{-   end -}}
{{- end -}}
{{- dict "files" $others | toJson -}}
{{- end -}}
