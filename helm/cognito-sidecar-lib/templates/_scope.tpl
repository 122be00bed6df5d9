{{/*
What the templates work on, as JSON. Each public template takes one of
  .                                          the values at .Values.cognitoSidecar: the dependency's alias
  dict "root" $ "as" "ordersSidecar"         the values at .Values.ordersSidecar: another alias, for another pod
  dict "root" $ "values" .Values "name" …    the chart cognito-sidecar itself: a pod that is nothing but the sidecar
*/}}
{{- define "cognito-sidecar.scope" -}}
{{- $root := . -}}
{{- $as := "cognitoSidecar" -}}
{{- $values := dict -}}
{{- $standalone := false -}}
{{- if hasKey . "root" -}}
{{-   $root = .root -}}
{{-   $as = .as | default $as -}}
{{-   $standalone = hasKey . "values" -}}
{{- end -}}
{{- if $standalone -}}
{{-   $values = .values -}}
{{- else if hasKey $root.Values $as -}}
{{-   $values = get $root.Values $as -}}
{{- else -}}
{{-   fail (printf "%s: there are no such values: give the dependency cognito-sidecar-lib `alias: %s` in Chart.yaml" $as $as) -}}
{{- end -}}
{{- $named := ternary "cognito-sidecar" (kebabcase $as) (eq $as "cognitoSidecar") -}}
{{- $name := printf "%s-%s" ($root.Release.Name | trunc (int (sub 62 (len $named))) | trimSuffix "-") $named -}}
{{- if $standalone -}}
{{- /* Another name than the library's in the same release. */ -}}
{{-   $name = printf "%s-config" .name -}}
{{- end -}}
{{- dict
      "values" $values
      "configMap" ($values.configMapName | default $name)
      "standalone" $standalone
      "at" (ternary "" (printf "%s." $as) $standalone)
      "release" $root.Release.Name
      "namespace" $root.Release.Namespace
      "kubeVersion" $root.Capabilities.KubeVersion.Version
    | toJson -}}
{{- end -}}

{{/* The version of the sidecar that this chart was made for; a test holds it equal to the program's. */}}
{{- define "cognito-sidecar.version" -}}
0.1.0
{{- end -}}

{{/* Directories in the container. The image looks for its configuration at /etc/cognito-sidecar/config.yaml. */}}
{{- define "cognito-sidecar.secretsDirectory" -}}
/var/run/secrets/cognito-sidecar
{{- end -}}

{{- define "cognito-sidecar.caDirectory" -}}
/etc/cognito-sidecar-ca
{{- end -}}

{{- define "cognito-sidecar.socketDirectory" -}}
/run/cognito-sidecar
{{- end -}}
