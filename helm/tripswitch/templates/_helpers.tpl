{{- define "tripswitch.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "tripswitch.fullname" -}}
{{- $name := include "tripswitch.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Never more than these in a selector: it can't be changed afterwards. */}}
{{- define "tripswitch.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tripswitch.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tripswitch.labels" -}}
{{- $ours := include "tripswitch.selectorLabels" . | fromYaml -}}
{{- $_ := set $ours "app.kubernetes.io/version" (.Chart.AppVersion | toString) -}}
{{- $_ := set $ours "app.kubernetes.io/managed-by" .Release.Service -}}
{{- $_ := set $ours "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63) -}}
{{- merge $ours (deepCopy .Values.commonLabels) | toYaml -}}
{{- end -}}

{{/* metadata of an object. context: root, name; may have namespace, labels, annotations. */}}
{{- define "tripswitch.metadata" -}}
name: {{ .name }}
namespace: {{ default .root.Release.Namespace .namespace }}
labels:
{{- merge (include "tripswitch.labels" .root | fromYaml) (deepCopy (default dict .labels)) | toYaml | nindent 2 }}
{{- with .annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "tripswitch.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tripswitch.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "tripswitch.image" -}}
{{- $name := .Values.image.repository -}}
{{- with default .Values.image.registry .Values.global.imageRegistry -}}{{- $name = printf "%s/%s" (trimSuffix "/" .) $name -}}{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "tripswitch.pullSecrets" -}}
{{- $names := list -}}
{{- range concat (default list .Values.global.imagePullSecrets) .Values.image.pullSecrets -}}
{{- if kindIs "string" . -}}{{- $names = append $names . -}}{{- else -}}{{- $names = append $names .name -}}{{- end -}}
{{- end -}}
{{- range uniq $names }}
- name: {{ . }}
{{- end -}}
{{- end -}}

{{- define "tripswitch.configMapName" -}}
{{- default (printf "%s-pipelines" (include "tripswitch.fullname" .)) .Values.existingConfigMap -}}
{{- end -}}

{{- define "tripswitch.storeUrl" -}}
{{- default "sqlite:////var/lib/tripswitch/state.db" .Values.store.url -}}
{{- end -}}

{{/* "yes" if the state is a file of the pod, else nothing. */}}
{{- define "tripswitch.storesFile" -}}
{{- if hasPrefix "sqlite:" (include "tripswitch.storeUrl" .) -}}yes{{- end -}}
{{- end -}}

{{/* "yes" if several replicas can share the store, else nothing. */}}
{{- define "tripswitch.storesShared" -}}
{{- if hasPrefix "dynamodb:" (include "tripswitch.storeUrl" .) -}}yes{{- end -}}
{{- end -}}

{{/* The name of the claim, or nothing where no volume is used. */}}
{{- define "tripswitch.claim" -}}
{{- if and .Values.persistence.enabled (include "tripswitch.storesFile" .) -}}
{{- default (include "tripswitch.fullname" .) .Values.persistence.existingClaim -}}
{{- end -}}
{{- end -}}

{{/* The content of the pipelines' ConfigMap. */}}
{{- define "tripswitch.pipelines" -}}
{{- range $name, $content := .Values.pipelines }}
{{ $name }}.yaml: |-
  {{- if kindIs "string" $content }}
  {{- $content | nindent 2 }}
  {{- else }}
  {{- toYaml $content | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Seconds of a duration such as 1m30s, rounded up per part. */}}
{{- define "tripswitch.seconds" -}}
{{- $total := 0 -}}
{{- range regexFindAll "[0-9]+(ms|s|m|h)" . -1 -}}
{{- $count := regexFind "^[0-9]+" . | int -}}
{{- $unit := regexReplaceAll "^[0-9]+" . "" -}}
{{- if eq $unit "ms" -}}{{- $total = add $total (div (add $count 999) 1000) -}}
{{- else -}}{{- $total = add $total (mul $count (get (dict "s" 1 "m" 60 "h" 3600) $unit)) -}}
{{- end -}}
{{- end -}}
{{- $total -}}
{{- end -}}

{{- define "tripswitch.probe" -}}
{{- $probe := .probe -}}
{{- if $probe.enabled }}
{{ .name }}:
  httpGet: {path: {{ .path }}, port: http}
  {{- range $key := list "initialDelaySeconds" "periodSeconds" "timeoutSeconds" "failureThreshold" }}
  {{ $key }}: {{ get $probe $key }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Not the selector's: the Service must not send requests to the pod of `helm test`. */}}
{{- define "tripswitch.testLabels" -}}
app.kubernetes.io/name: {{ include "tripswitch.name" . | trunc 58 | trimSuffix "-" }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
