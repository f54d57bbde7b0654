{{/* What a ServiceMonitor and a PodMonitor say of an endpoint alike. */}}
{{- define "tripswitch.endpoint" -}}
port: http
path: /metrics
interval: {{ .interval }}
scrapeTimeout: {{ .scrapeTimeout }}
honorLabels: {{ .honorLabels }}
{{- with .relabelings }}
relabelings: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The groups of files/prometheus with the values' wishes for single alerts, as YAML below `groups`. */}}
{{- define "tripswitch.ruleGroups" -}}
{{- $values := .Values.prometheusRule -}}
{{- $known := dict -}}
{{- $groups := list -}}
{{- range $path, $content := .Files.Glob "files/prometheus/*.yaml" -}}
{{- range (fromYaml (toString $content)).groups -}}
{{- $rules := list -}}
{{- range .rules -}}
{{- if .alert -}}{{- $_ := set $known .alert true -}}{{- end -}}
{{- $wish := default dict (get $values.alerts (default "" .alert)) -}}
{{- if not (and (hasKey $wish "enabled") (not $wish.enabled)) -}}
{{- $rules = append $rules (include "tripswitch.rule" (dict "rule" . "wish" $wish "base" $values.runbookBaseUrl) | fromYaml) -}}
{{- end -}}
{{- end -}}
{{- if $rules -}}
{{- $groups = append $groups (merge (dict "rules" $rules) (omit . "rules")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := $values.alerts -}}
{{- if not (hasKey $known $name) -}}
{{- fail (printf "prometheusRule.alerts: there is no alert %s. There are: %s" $name (keys $known | sortAlpha | join ", ")) -}}
{{- end -}}
{{- end -}}
{{- with $values.extraRules -}}
{{- $groups = append $groups (dict "name" "tripswitch.extra" "rules" .) -}}
{{- end -}}
{{- toYaml $groups -}}
{{- end -}}

{{/* One rule as the values want it. context: rule, wish, base. */}}
{{- define "tripswitch.rule" -}}
{{- $rule := deepCopy .rule -}}
{{- $wish := .wish -}}
{{- if hasKey $wish "threshold" -}}
{{- $first := "(?s)^(.*?(?:==|!=|>=|<=|>|<)\\s*)-?[0-9.]+" -}}
{{- if not (regexMatch $first $rule.expr) -}}
{{- fail (printf "prometheusRule.alerts.%s.threshold: its expression compares with no number. Turn it off and write your own under extraRules" $rule.alert) -}}
{{- end -}}
{{- $_ := set $rule "expr" (regexReplaceAll $first $rule.expr (printf "${1}%s" (toString $wish.threshold))) -}}
{{- end -}}
{{- with get $wish "for" -}}
{{- $_ := set $rule "for" . -}}
{{- end -}}
{{- $labels := merge (deepCopy (default dict $wish.labels)) (default dict $rule.labels) -}}
{{- with $wish.severity -}}{{- $_ := set $labels "severity" . -}}{{- end -}}
{{- if $labels -}}{{- $_ := set $rule "labels" $labels -}}{{- end -}}
{{- if and .base $rule.annotations -}}
{{- with $rule.annotations.runbook_url -}}
{{- $_ := set $rule.annotations "runbook_url" (printf "%s%s" $.base (regexReplaceAll "^.*[/#]" . "")) -}}
{{- end -}}
{{- end -}}
{{- toYaml $rule -}}
{{- end -}}
