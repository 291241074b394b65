{{/* Rights, from the rules that the coordinator's own code declares (files/*-rules.yaml, generated). */}}

{{/* What is done in each watched namespace. */}}
{{- define "cutline.watchedRules" -}}
{{- $rules := (.Files.Get "files/controller-rules.yaml" | fromYaml).watched -}}
{{- if .Values.discovery.enabled -}}
{{- $rules = concat $rules (.Files.Get "files/discovery-rules.yaml" | fromYaml).watched -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end -}}

{{/* What is done in the release's namespace: to the chart's own objects, by name, and nothing is made. */}}
{{- define "cutline.ownRules" -}}
{{- $rules := list -}}
{{- range (.Files.Get "files/controller-rules.yaml" | fromYaml).lease -}}
{{- $verbs := without .verbs "create" -}}
{{- $rules = append $rules (dict "apiGroups" .apiGroups "resources" .resources "resourceNames" (list (include "cutline.coordinator" $)) "verbs" $verbs) -}}
{{- end -}}
{{- $secrets := list -}}
{{- if .Values.identity.enabled -}}
{{- $secrets = append $secrets (include "cutline.authority" .) -}}
{{- end -}}
{{- if and .Values.injection.enabled (not .Values.certManager.enabled) -}}
{{- $secrets = append $secrets (include "cutline.webhook" .) -}}
{{- end -}}
{{- if $secrets -}}
{{- range (.Files.Get "files/identity-rules.yaml" | fromYaml).secrets -}}
{{- $rules = append $rules (dict "apiGroups" .apiGroups "resources" .resources "resourceNames" $secrets "verbs" .verbs) -}}
{{- end -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end -}}

{{/* What belongs to no namespace. */}}
{{- define "cutline.clusterRules" -}}
{{- $identity := .Files.Get "files/identity-rules.yaml" | fromYaml -}}
{{- $rules := list -}}
{{- if or .Values.identity.enabled (eq .Values.access.mode "kubernetes") -}}
{{- $rules = concat $rules $identity.reviews -}}
{{- end -}}
{{- if and .Values.injection.enabled (not .Values.certManager.enabled) -}}
{{- range $identity.webhookConfiguration -}}
{{- $rules = append $rules (dict "apiGroups" .apiGroups "resources" .resources "resourceNames" (list (include "cutline.clusterName" $)) "verbs" .verbs) -}}
{{- end -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end -}}
