{{/* The coordinator's settings, as environment variables: docs/reference/configuration.md says what each is. */}}

{{- define "cutline.variable" -}}
- name: {{ .name }}
  {{- /* Large numbers of values are floats, which would be written with an exponent. */}}
  value: {{ kindIs "float64" .value | ternary (int64 (kindIs "float64" .value | ternary .value 0) | toString) (.value | toString) | quote }}
{{- end -}}

{{- define "cutline.settings" -}}
CUTLINE_LOG_LEVEL: {{ .Values.coordinator.logLevel }}
CUTLINE_HTTP_HOST: 0.0.0.0
CUTLINE_AGENTS_HOST: 0.0.0.0
CUTLINE_STOP_GRACE_MS: {{ mul .Values.coordinator.stopGraceSeconds 1000 | quote }}
CUTLINE_STORE_TOPOLOGY: {{ eq (include "cutline.store" .) "external" | ternary .Values.externalRedis.topology "single" }}
CUTLINE_KUBERNETES: "true"
CUTLINE_KUBERNETES_LEASE_NAME: {{ include "cutline.coordinator" . }}
{{- with .Values.watchNamespaces }}
CUTLINE_KUBERNETES_NAMESPACES: {{ join "," . }}
{{- end }}
CUTLINE_ACCESS: {{ .Values.access.mode }}
{{- if eq .Values.access.mode "kubernetes" }}
CUTLINE_ACCESS_AUDIENCE: {{ .Values.access.audience }}
{{- with .Values.access.namespace }}
CUTLINE_ACCESS_NAMESPACE: {{ . }}
{{- end }}
{{- else if eq .Values.access.mode "tokens" }}
CUTLINE_ACCESS_TOKENS_FILE: /var/run/cutline/access/{{ .Values.access.tokensKey }}
{{- end }}
CUTLINE_CLUSTER_DOMAIN: {{ .Values.clusterDomain }}
{{- if .Values.discovery.enabled }}
CUTLINE_DISCOVERY: "true"
{{- end }}
{{- if .Values.identity.enabled }}
CUTLINE_IDENTITY: "true"
CUTLINE_IDENTITY_HOST: 0.0.0.0
CUTLINE_IDENTITY_TRUST_DOMAIN: {{ .Values.identity.trustDomain }}
CUTLINE_IDENTITY_SECRET: {{ include "cutline.authority" . }}
{{- with .Values.watchNamespaces }}
CUTLINE_IDENTITY_NAMESPACES: {{ join "," . }}
{{- end }}
{{- end }}
{{- if .Values.injection.enabled }}
{{ include "cutline.webhookSettings" . }}
{{- end }}
{{- end -}}

{{- define "cutline.webhookSettings" -}}
CUTLINE_WEBHOOK: "true"
CUTLINE_WEBHOOK_HOST: 0.0.0.0
CUTLINE_INJECTION_IMAGE: {{ include "cutline.image" (dict "root" . "image" .Values.image) }}
CUTLINE_INJECTION_IMAGE_PULL_POLICY: {{ .Values.image.pullPolicy }}
CUTLINE_INJECTION_AGENTS_SERVICE: {{ include "cutline.agents" . }}
{{- $agent := .Values.injection.agent }}
CUTLINE_INJECTION_NATIVE_SIDECARS: {{ $agent.nativeSidecars }}
CUTLINE_INJECTION_TRAFFIC: {{ $agent.traffic }}
{{- with $agent.outboundPorts }}
CUTLINE_INJECTION_OUTBOUND_PORTS: {{ join "," . | quote }}
{{- end }}
{{- with $agent.noProxy }}
CUTLINE_INJECTION_NO_PROXY: {{ join "," . | quote }}
{{- end }}
{{- with $agent.clients }}
CUTLINE_INJECTION_CLIENTS: {{ join "," . }}
{{- end }}
{{- range $kind := tuple "Request" "Limit" }}
{{- $of := default dict (get $agent.resources (printf "%ss" (lower $kind))) }}
{{- range $resource := tuple "cpu" "memory" }}
CUTLINE_INJECTION_{{ upper $resource }}_{{ upper $kind }}: {{ default "none" (get $of $resource) | toString | quote }}
{{- end }}
{{- end }}
{{- if .Values.certManager.enabled }}
CUTLINE_WEBHOOK_CERTIFICATE_FILE: /var/run/cutline/webhook/tls.crt
CUTLINE_WEBHOOK_KEY_FILE: /var/run/cutline/webhook/tls.key
{{- else }}
CUTLINE_WEBHOOK_SECRET: {{ include "cutline.webhook" . }}
CUTLINE_WEBHOOK_CONFIGURATION: {{ include "cutline.clusterName" . }}
CUTLINE_WEBHOOK_DNS_NAMES: {{ include "cutline.webhook" . }}.{{ .Release.Namespace }}.svc
{{- end }}
{{- end -}}

{{- define "cutline.environment" -}}
{{- $settings := mergeOverwrite (include "cutline.settings" . | fromYaml) .Values.coordinator.settings -}}
{{- range $name := keys $settings | sortAlpha }}
{{ include "cutline.variable" (dict "name" $name "value" (get $settings $name)) }}
{{- end }}
- name: CUTLINE_STORE_URL
  valueFrom:
    secretKeyRef:
      {{- if eq (include "cutline.store" .) "external" }}
      name: {{ .Values.externalRedis.existingSecret }}
      key: {{ .Values.externalRedis.urlKey }}
      {{- else }}
      name: {{ include "cutline.redisSecret" . }}
      key: url
      {{- end }}
{{- end -}}
