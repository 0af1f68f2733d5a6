{{- /*
openaisle.preloadPod: the pod template of the Job that fills a shared volume: dict "context" $ "model" .
*/ -}}
{{- define "openaisle.preloadPod" -}}
{{- $root := .context }}
{{- with .model }}
{{- $image := ternary .image (include "openaisle.image" (dict "context" $root "name" "opt" "suffix" "")) (and .ownImage (eq .engine "opt")) -}}
metadata:
  labels:
    {{- include "openaisle.podLabels" (dict "context" $root "component" "preload") | nindent 4 }}
    openaisle.io/model-name: {{ .name | quote }}
  annotations: {kubectl.kubernetes.io/default-container: download}
spec:
  restartPolicy: Never
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext: {{- include "openaisle.podSecurity" $root | nindent 4 }}
  {{- with include "openaisle.podSettings" (dict "context" $root "settings" (pick . "nodeSelector" "tolerations" "priorityClassName")) }}
  {{- . | nindent 2 }}
  {{- end }}
  containers:
    - {{- include "openaisle.downloadContainer" (dict "context" $root "model" . "image" $image) | nindent 6 }}
  volumes:
    - {name: tmp, emptyDir: {}}
    {{- include "openaisle.weightsVolume" . | nindent 4 }}
{{- end }}
{{- end }}
