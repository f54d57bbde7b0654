{{/* `helm upgrade --reuse-values` brings an older chart's defaults instead of this one's. First in every template. */}}
{{- define "tripswitch.known" -}}
{{- range $name := list "commonLabels" "store" "probes" "podSecurityContext" "securityContext" "networkPolicy" "serviceMonitor" "podMonitor" "prometheusRule" "dashboards" "tests" -}}
{{- if not (hasKey $.Values $name) -}}
{{- fail (printf "the value %s is missing, which has a default: `--reuse-values` took the defaults of an older chart. Use `--reset-then-reuse-values` (Helm 3.14), or pass your values file again" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Combinations that the schema can't refuse with a sentence that helps. Each says what to do. */}}
{{- define "tripswitch.refusals" -}}
{{- $values := .Values -}}
{{- $replicas := int $values.replicaCount -}}
{{- if and (not $values.existingConfigMap) (not $values.pipelines) -}}
{{- fail "no pipelines: set `pipelines` (name: content; --set-file pipelines.etl=etl.yaml) or `existingConfigMap`" -}}
{{- end -}}
{{- if and $values.existingConfigMap $values.pipelines -}}
{{- fail "both `pipelines` and `existingConfigMap` are set: the pod would read only the latter. Leave one out" -}}
{{- end -}}
{{- if and (gt $replicas 1) (not (include "tripswitch.storesShared" .)) -}}
{{- fail (printf "replicaCount is %d, but one process owns %s: set replicaCount to 1, or store.url to dynamodb://TABLE" $replicas (include "tripswitch.storeUrl" .)) -}}
{{- end -}}
{{- $needed := add (include "tripswitch.seconds" $values.settings.grace | int) 10 -}}
{{- if lt (int $values.terminationGracePeriodSeconds) (int $needed) -}}
{{- fail (printf "terminationGracePeriodSeconds is %d: the pod would be killed while it writes down what it was doing. Set it to at least %d (settings.grace %s and 10 s)" (int $values.terminationGracePeriodSeconds) (int $needed) $values.settings.grace) -}}
{{- end -}}
{{- if and $values.serviceMonitor.enabled $values.podMonitor.enabled -}}
{{- fail "serviceMonitor and podMonitor are both on: every series would be there twice. Choose one" -}}
{{- end -}}
{{- if and $values.aws.roleArn (not $values.serviceAccount.create) -}}
{{- fail "aws.roleArn is written to the ServiceAccount, but serviceAccount.create is off: annotate yours with eks.amazonaws.com/role-arn and leave aws.roleArn empty" -}}
{{- end -}}
{{- if and $values.service.nodePort (eq $values.service.type "ClusterIP") -}}
{{- fail "service.nodePort needs service.type NodePort or LoadBalancer" -}}
{{- end -}}
{{- range $values.secretFiles -}}
{{- $path := trimSuffix "/" .mountPath -}}
{{- if regexMatch "^(/etc/tripswitch|/var/lib/tripswitch|/tmp)(/.*)?$" $path -}}
{{- fail (printf "secretFiles: %s is taken. Mount %s elsewhere, such as /etc/secrets/%s" $path .secretName .secretName) -}}
{{- end -}}
{{- end -}}
{{- include "tripswitch.refusals.budget" . -}}
{{- end -}}

{{- define "tripswitch.refusals.budget" -}}
{{- $budget := .Values.podDisruptionBudget -}}
{{- $replicas := int .Values.replicaCount -}}
{{- if $budget.enabled -}}
{{- $least := toString (default "" $budget.minAvailable) -}}
{{- $most := $budget.maxUnavailable -}}
{{- if and (not (kindIs "invalid" $budget.minAvailable)) (not (kindIs "invalid" $most)) -}}
{{- fail "podDisruptionBudget: set minAvailable or maxUnavailable, not both" -}}
{{- end -}}
{{- $blocked := or (eq $least "100%") (and $least (le $replicas 1) (ne $least "0%")) -}}
{{- if and $least (not (hasSuffix "%" $least)) (ge (int $budget.minAvailable) $replicas) -}}{{- $blocked = true -}}{{- end -}}
{{- if and $least (hasSuffix "%" $least) (gt $replicas 1) -}}
{{- /* Kubernetes rounds up: 60% of two are two. */ -}}
{{- if ge (div (add (mul (trimSuffix "%" $least | int) $replicas) 99) 100) (int64 $replicas) -}}{{- $blocked = true -}}{{- end -}}
{{- end -}}
{{- if $blocked -}}
{{- fail (printf "podDisruptionBudget.minAvailable %s with %d replica(s) would block every drain of a node: lower it, or set maxUnavailable to 1" $least $replicas) -}}
{{- end -}}
{{- if and (not (kindIs "invalid" $most)) (has (toString $most) (list "0" "0%")) -}}
{{- fail (printf "podDisruptionBudget.maxUnavailable %s would block every drain of a node: set it to 1" (toString $most)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
