{{/* What objects are called. */}}

{{- define "cutline.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "cutline.coordinator" -}}{{ include "cutline.fullname" . }}-coordinator{{- end -}}
{{- define "cutline.agents" -}}{{ include "cutline.fullname" . }}-agents{{- end -}}
{{- define "cutline.webhook" -}}{{ include "cutline.fullname" . }}-webhook{{- end -}}
{{- define "cutline.authority" -}}{{ include "cutline.fullname" . }}-authority{{- end -}}
{{- define "cutline.redis" -}}{{ include "cutline.fullname" . }}-redis{{- end -}}

{{/* Objects of the cluster carry the namespace, so that two releases of one name are well. */}}
{{- define "cutline.clusterName" -}}{{ include "cutline.fullname" . }}-{{ .Release.Namespace }}{{- end -}}

{{- define "cutline.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "cutline.coordinator" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: with serviceAccount.create=false, say which ServiceAccount the coordinator has" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "cutline.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "cutline.labels" -}}
{{ include "cutline.selector" . }}
app.kubernetes.io/part-of: cutline
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Without the chart's version: an upgrade of the chart alone restarts nothing. */}}
{{- define "cutline.podLabels" -}}
{{ include "cutline.selector" . }}
app.kubernetes.io/part-of: cutline
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "cutline.image" -}}
{{- $registry := default .image.registry .root.Values.global.imageRegistry -}}
{{- if $registry }}{{ trimSuffix "/" $registry }}/{{ end -}}
{{ .image.repository }}
{{- if .image.digest }}@{{ .image.digest }}{{ else }}:{{ default .root.Chart.AppVersion .image.tag }}{{ end -}}
{{- end -}}

{{/* "bundled" or "external". */}}
{{- define "cutline.store" -}}
{{- if .Values.externalRedis.existingSecret -}}
external
{{- else if .Values.redis.enabled -}}
bundled
{{- else -}}
{{- fail "there is no store: set externalRedis.existingSecret to the name of a Secret with the URL of a Redis, or redis.enabled=true for a bundled one" -}}
{{- end -}}
{{- end -}}

{{- define "cutline.redisSecret" -}}
{{- default (include "cutline.redis" .) .Values.redis.existingSecret -}}
{{- end -}}
