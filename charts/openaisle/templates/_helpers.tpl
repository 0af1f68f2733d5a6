{{- /*
Helpers for every template:

  openaisle.name, openaisle.fullname      names
  openaisle.labels, openaisle.selector    labels of a component: dict "context" $ "component" "adapter"
  openaisle.podLabels                     labels of its pods
  openaisle.image                         image of a component, with a tag's suffix: dict "context" $ "name" "opt" "suffix" "-cu126"
  openaisle.podSecurity                   a pod's security context, as Pod Security "restricted" asks
  openaisle.containerSecurity             a container's
  openaisle.podSettings                   pull Secrets, placement and priority: dict "context" $ "settings" .Values.adapter
  openaisle.spread                        replicas on different nodes: dict "replicas" 2 "labels" (include "openaisle.selector" ..)
  openaisle.keysSecret                    name of the Secret with the clients' keys
  openaisle.dnsEgress                     a NetworkPolicy rule that lets pods resolve names

_models.tpl resolves `models`, _sizes.tpl knows how large they are, _checks.tpl refuses what cannot work, with the help of
_keys.tpl and _forms.tpl.
*/ -}}

{{- define "openaisle.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "openaisle.fullname" -}}
{{- $name := include "openaisle.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* A version here would change the selector at each upgrade, which Kubernetes refuses. */ -}}
{{- define "openaisle.selector" -}}
app.kubernetes.io/name: {{ include "openaisle.name" .context | quote }}
app.kubernetes.io/instance: {{ .context.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "openaisle.labels" -}}
{{ include "openaisle.selector" . }}
app.kubernetes.io/version: {{ .context.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .context.Release.Service }}
app.kubernetes.io/part-of: openaisle
helm.sh/chart: {{ printf "%s-%s" .context.Chart.Name .context.Chart.Version | replace "+" "_" }}
{{- with .context.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Without the chart's version: an upgrade that changes nothing in a pod doesn't restart it. */ -}}
{{- define "openaisle.podLabels" -}}
{{ include "openaisle.selector" . }}
{{- with .context.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "openaisle.image" -}}
{{- $image := .context.Values.image }}
{{- $path := compact (list $image.registry $image.repository .name) | join "/" }}
{{- printf "%s:%s%s" $path (default .context.Chart.AppVersion $image.tag) (default "" .suffix) }}
{{- end }}

{{- define "openaisle.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
# A volume that holds a large model isn't walked at each start.
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "openaisle.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "openaisle.podSettings" -}}
{{- with .context.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- with .settings.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "openaisle.spread" -}}
{{- if gt (int .replicas) 1 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- .labels | nindent 8 }}
{{- end }}
{{- end }}

{{- define "openaisle.keysSecret" -}}
{{ default (printf "%s-keys" (include "openaisle.fullname" .)) .Values.auth.existingSecret }}
{{- end }}

{{- /* An egress rule for names; 5353 is the pods' port of DNS on some distributions. */ -}}
{{- define "openaisle.dnsEgress" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
    - {port: 5353, protocol: UDP}
    - {port: 5353, protocol: TCP}
{{- end }}
