{{- define "tripswitch.container" -}}
- name: tripswitch
  image: {{ include "tripswitch.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args: {{- concat (list "run" "/etc/tripswitch") .Values.extraArgs | toYaml | nindent 4 }}
  ports:
    - {name: http, containerPort: 9108, protocol: TCP}
  env:
    - {name: TRIPSWITCH_STORE, value: {{ include "tripswitch.storeUrl" . | quote }}}
    - {name: TRIPSWITCH_LOG_FORMAT, value: json}
    - {name: TRIPSWITCH_LOG_LEVEL, value: {{ .Values.settings.logLevel | quote }}}
    - {name: TRIPSWITCH_ACTIONS, value: {{ .Values.settings.actions | quote }}}
    - {name: TRIPSWITCH_GRACE, value: {{ .Values.settings.grace | quote }}}
    - {name: TRIPSWITCH_CONCURRENCY, value: {{ .Values.settings.concurrency | quote }}}
    - {name: TRIPSWITCH_READ_SHARE, value: {{ .Values.settings.readShare | quote }}}
    {{- with .Values.settings.tokenFrom }}
    - {name: TRIPSWITCH_TOKEN, value: {{ . | quote }}}
    {{- end }}
    {{- with .Values.aws.region }}
    - {name: AWS_REGION, value: {{ . | quote }}}
    {{- end }}
    {{- if .Values.aws.regionalSts }}
    - {name: AWS_STS_REGIONAL_ENDPOINTS, value: regional}
    {{- end }}
    {{- range $name, $value := .Values.env }}
    - {name: {{ $name }}, value: {{ $value | toString | quote }}}
    {{- end }}
    {{- with .Values.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if or .Values.existingSecret .Values.extraEnvFrom }}
  envFrom:
    {{- with .Values.existingSecret }}
    - secretRef: {name: {{ . }}}
    {{- end }}
    {{- with .Values.extraEnvFrom }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  {{- with include "tripswitch.probe" (dict "name" "startupProbe" "path" "/healthz" "probe" .Values.probes.startup) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with include "tripswitch.probe" (dict "name" "livenessProbe" "path" "/healthz" "probe" .Values.probes.liveness) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with include "tripswitch.probe" (dict "name" "readinessProbe" "path" "/readyz" "probe" .Values.probes.readiness) | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with .Values.lifecycle }}
  lifecycle: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.securityContext }}
  securityContext: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.resources }}
  resources: {{- toYaml . | nindent 4 }}
  {{- end }}
  volumeMounts:
    # A folder, not subPath: only so do changes of the ConfigMap reach a running pod.
    - {name: pipelines, mountPath: /etc/tripswitch, readOnly: true}
    - {name: state, mountPath: /var/lib/tripswitch}
    - {name: tmp, mountPath: /tmp}
    {{- range $index, $one := .Values.secretFiles }}
    - {name: secret-{{ $index }}, mountPath: {{ $one.mountPath | quote }}, readOnly: true}
    {{- end }}
    {{- with .Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
