{{- define "sluice.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "sluice.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "sluice.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "sluice.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "sluice.selector" -}}
app.kubernetes.io/name: {{ include "sluice.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sluice.labels" -}}
{{ include "sluice.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "sluice.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "sluice.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: name the account to use, or set serviceAccount.create" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "sluice.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "sluice.serviceAccount" . }}
{{- end }}

{{- define "sluice.image" -}}
{{- $registry := default .Values.image.registry (.Values.global).imageRegistry -}}
{{- $image := printf "%s/%s" $registry .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $image .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end }}

{{/*
Kinds that a release may contain, all namespaced: what the renderer allows. The
same list says what Sluice may write and what nobody else may. Claims are not
guarded: storage drivers write them under names of their own.
*/}}
{{- define "sluice.guarded" -}}
- apiGroups: [""]
  resources: [configmaps, secrets, serviceaccounts, services]
- apiGroups: [apps]
  resources: [daemonsets, deployments, statefulsets]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
- apiGroups: [autoscaling.k8s.io]
  resources: [verticalpodautoscalers]
- apiGroups: [batch]
  resources: [cronjobs, jobs]
- apiGroups: [bitnami.com]
  resources: [sealedsecrets]
- apiGroups: [external-secrets.io]
  resources: [externalsecrets]
- apiGroups: [gateway.networking.k8s.io]
  resources: [grpcroutes, httproutes]
- apiGroups: [keda.sh]
  resources: [scaledobjects, triggerauthentications]
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors, prometheusrules, servicemonitors]
- apiGroups: [networking.k8s.io]
  resources: [ingresses, networkpolicies]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
{{- with .Values.guard.extraResources }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "sluice.daemon" -}}
{{- $own := dict
  "apiVersion" "sluice.dev/v1alpha1"
  "kind" "Daemon"
  "dataDir" "/var/lib/sluice"
  "listen" ":8080"
  "cluster" (dict "namespace" .Release.Namespace "namespaces" .Values.namespaces) -}}
{{- if and .Values.guard.enabled (has "Deny" .Values.guard.actions) .Values.guard.breakGlass.groups -}}
{{- $_ := set $own.cluster "breakGlass" true -}}
{{- end -}}
{{- range $name, $value := .Values.daemon -}}
{{- if $value }}{{ $_ := set $own $name $value }}{{ end -}}
{{- end -}}
{{- toYaml $own -}}
{{- end }}
