{{- /*
A model's pod and its parts:

  openaisle.modelPod          the pod template, of a StatefulSet or a Deployment: dict "context" $ "model" .
  openaisle.modelPlacement    node affinity, tolerations, runtime class, spread
  openaisle.modelSelector     labels that select the model's pods
  openaisle.chatTemplateName  name of the ConfigMap with the model's chat template
  openaisle.optContainer      command line, environment and probes of OpenAISLE's own engine
  openaisle.threads           how many threads compute
  openaisle.vllmContainer     the same of vLLM
  openaisle.env               variables of a container, the user's own among them
*/ -}}

{{- define "openaisle.modelPod" -}}
{{- $root := .context }}
{{- $labels := dict "context" $root "component" "opt" }}
{{- with .model }}
metadata:
  labels:
    {{- include "openaisle.podLabels" $labels | nindent 4 }}
    openaisle.io/model-name: {{ .name | quote }}
    openaisle.io/gpu-family: {{ first .families | quote }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ .engine }}
    openaisle.io/model: {{ .servedName | quote }}
    {{- with .chatTemplate }}
    # The program reads it at start, so another one needs other pods.
    checksum/chat-template: {{ sha256sum . }}
    {{- end }}
    {{- with .podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  automountServiceAccountToken: false
  enableServiceLinks: false
  securityContext: {{- include "openaisle.podSecurity" $root | nindent 4 }}
  terminationGracePeriodSeconds: {{ add .preStopSeconds (include "openaisle.graceSeconds" . | int) 10 }}
  {{- with include "openaisle.modelPlacement" (dict "context" $root "model" .) }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- if include "openaisle.downloads" . }}
  initContainers:
    - {{- include "openaisle.downloadContainer" (dict "context" $root "model" . "image" .image) | nindent 6 }}
  {{- end }}
  containers:
    - name: {{ .engine }}
      image: {{ .image | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      {{- include (printf "openaisle.%sContainer" .engine) . | nindent 6 }}
      ports:
        - {name: http, containerPort: 8000}
      {{- /* Kubernetes before 1.33 refuses to sleep for no time. */}}
      {{- with int .preStopSeconds }}
      lifecycle:
        preStop: {sleep: {seconds: {{ . }}}}
      {{- end }}
      # What a crashed program said last is in the pod's status.
      terminationMessagePolicy: FallbackToLogsOnError
      resources: {{- include "openaisle.modelResources" . | nindent 8 }}
      securityContext: {{- include "openaisle.containerSecurity" $root | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- if ne .weights.from "bundled" }}
        - {name: weights, mountPath: /models{{ if or (ne .weights.from "hub") (include "openaisle.downloads" .) }}, readOnly: true{{ end }}}
        {{- end }}
        {{- if .chatTemplate }}
        - {name: chat-template, mountPath: /etc/openaisle/chat-template, readOnly: true}
        {{- end }}
        {{- if gt (int .gpus) 1 }}
        - {name: shared-memory, mountPath: /dev/shm}
        {{- end }}
  volumes:
    - {name: tmp, emptyDir: {}}
    {{- include "openaisle.weightsVolume" . | nindent 4 }}
    {{- if .chatTemplate }}
    - {name: chat-template, configMap: {name: {{ include "openaisle.chatTemplateName" . }}}}
    {{- end }}
    {{- if gt (int .gpus) 1 }}
    # The processes of several GPUs exchange tensors through it; the runtime's own is 64 MiB.
    - {name: shared-memory, emptyDir: {medium: Memory}}
    {{- end }}
{{- end }}
{{- end }}

{{- define "openaisle.modelPlacement" -}}
{{- $root := .context }}
{{- $model := .model }}
{{- $families := list }}
{{- range .model.families }}{{ $families = append $families (get $root.Values.gpuFamilies .) }}{{ end }}
{{- $required := list }}
{{- $anyNode := false }}
{{- range .model.terms }}
{{- if . }}{{ $required = concat $required . }}{{ else }}{{ $anyNode = true }}{{ end }}
{{- end }}
{{- $tolerations := .model.tolerations }}
{{- $runtimeClass := "" }}
{{- range $families }}
{{- if and .resourceName (not .tolerations) }}
{{- $key := hasPrefix "nvidia.com/" .resourceName | ternary "nvidia.com/gpu" .resourceName }}
{{- $tolerations = append $tolerations (dict "key" $key "operator" "Exists" "effect" "NoSchedule") }}
{{- end }}
{{- range .tolerations }}{{ $tolerations = append $tolerations . }}{{ end }}
{{- $runtimeClass = default $runtimeClass .runtimeClassName }}
{{- end }}
{{- $settings := dict "nodeSelector" .model.nodeSelector "tolerations" (uniq $tolerations) "priorityClassName" .model.priorityClassName }}
{{- include "openaisle.podSettings" (dict "context" $root "settings" $settings) }}
{{- with $runtimeClass }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- if $required }}
affinity:
  nodeAffinity:
    {{- if not $anyNode }}
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms: {{- toYaml $required | nindent 8 }}
    {{- end }}
    {{- if gt (len .model.families) 1 }}
    # A node may have up to three labels that match, whose weights add up: hence a fourth for each next family.
    preferredDuringSchedulingIgnoredDuringExecution:
      {{- $weight := 100 }}
      {{- range .model.terms }}
      {{- range . }}
      - weight: {{ $weight }}
        preference: {{- toYaml . | nindent 10 }}
      {{- end }}
      {{- $weight = max 1 (div $weight 4) }}
      {{- end }}
    {{- end }}
{{- end }}
{{- include "openaisle.spread" (dict "replicas" .model.replicas "labels" (include "openaisle.modelSelector" .)) }}
{{- end }}

{{- define "openaisle.modelSelector" -}}
{{ include "openaisle.selector" (dict "context" .context "component" "opt") }}
openaisle.io/model-name: {{ .model.name | quote }}
{{- end }}

{{- define "openaisle.chatTemplateName" -}}
{{ .objectName }}-chat-template
{{- end }}

{{- define "openaisle.optContainer" -}}
{{- $path := printf "/models/%s" .weights.path | trimSuffix "/" }}
args:
  - --port=8000
  {{- if eq .weights.from "bundled" }}
  {{- else if eq .weights.from "hub" }}
  - {{ printf "--model=%s" .model | quote }}
  - --download-dir=/models
  {{- with .weights.revision }}
  - --revision={{ . }}
  {{- end }}
  {{- else }}
  - {{ printf "--model=%s" $path | quote }}
  {{- end }}
  - {{ printf "--served-model-name=%s" .servedName | quote }}
  - --dtype={{ .dtype }}
  - --device={{ ternary "cuda" "cpu" (ne .resourceName "") }}
  {{- if gt (int .gpus) 1 }}
  - --tensor-parallel-size={{ int .gpus }}
  {{- end }}
  {{- if not .resourceName }}
  # As many as processors are reserved: each step waits for its slowest thread, so one more than a busy node
  # runs makes it many times slower.
  - --threads={{ include "openaisle.threads" . }}
  {{- end }}
  {{- with .contextLength }}
  - --max-model-len={{ int . }}
  {{- end }}
  {{- if .chatTemplate }}
  - --chat-template=/etc/openaisle/chat-template/template.jinja
  {{- end }}
  - --grace-period-s={{ include "openaisle.graceSeconds" . }}
  {{- range .extraArgs }}
  - {{ . | quote }}
  {{- end }}
{{- include "openaisle.modelEnv" . }}
startupProbe:
  httpGet: {path: /health/ready, port: http}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: {{ div (include "openaisle.startupSeconds" . | int) 2 }}
readinessProbe:
  httpGet: {path: /health/ready, port: http}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /health/live, port: http}
  periodSeconds: 10
  timeoutSeconds: 10
  failureThreshold: 6
{{- end }}

{{- define "openaisle.vllmContainer" -}}
command:
  - vllm
  - serve
  - {{ has .weights.from (list "claim" "image") | ternary (printf "/models/%s" .weights.path | trimSuffix "/") .model | quote }}
args:
  - --port=8000
  - {{ printf "--served-model-name=%s" .servedName | quote }}
  - --dtype={{ .dtype }}
  - --tensor-parallel-size={{ int .gpus }}
  {{- with .contextLength }}
  - --max-model-len={{ int . }}
  {{- end }}
  {{- if .chatTemplate }}
  - --chat-template=/etc/openaisle/chat-template/template.jinja
  {{- end }}
  {{- with .weights.revision }}
  - --revision={{ . }}
  {{- end }}
  {{- range .extraArgs }}
  - {{ . | quote }}
  {{- end }}
{{- include "openaisle.modelEnv" . }}
startupProbe:
  httpGet: {path: /health, port: http}
  periodSeconds: 5
  timeoutSeconds: 5
  # vLLM compiles and captures graphs before it is ready.
  failureThreshold: {{ div (add 600 (include "openaisle.startupSeconds" . | int)) 5 }}
readinessProbe:
  httpGet: {path: /health, port: http}
  periodSeconds: 5
  timeoutSeconds: 5
livenessProbe:
  httpGet: {path: /health, port: http}
  periodSeconds: 10
  timeoutSeconds: 10
  failureThreshold: 6
{{- end }}

{{- /* The processors that a model requests, rounded up: "1500m" is 2. */ -}}
{{- define "openaisle.threads" -}}
{{- $cpu := dig "requests" "cpu" "1" (include "openaisle.modelResources" . | fromYaml) | toString }}
{{- $count := hasSuffix "m" $cpu | ternary (divf (trimSuffix "m" $cpu | float64) 1000.0) (float64 $cpu) }}
{{- max 1 (ceil $count | int) }}
{{- end }}

{{- /* Variables of the container. */ -}}
{{- define "openaisle.modelEnv" -}}
{{- $env := list }}
{{- if and (eq .weights.from "hub") (not (include "openaisle.downloads" .)) }}
{{- $env = include "openaisle.hubEnv" . | fromJsonArray }}
{{- else }}
{{- $env = append $env (dict "name" "HF_HUB_OFFLINE" "value" "1") }}
{{- end }}
{{- if hasPrefix "nvidia.com/" .resourceName }}
{{- $env = append $env (dict "name" "NVIDIA_DRIVER_CAPABILITIES" "value" "compute,utility") }}
{{- end }}
{{- if eq .engine "vllm" }}
{{- /* vLLM and torch keep compiled kernels below the home folder and ask who the user is. */}}
{{- $env = concat $env (list (dict "name" "HOME" "value" "/tmp") (dict "name" "USER" "value" "vllm")) }}
{{- if eq .weights.from "hub" }}{{ $env = append $env (dict "name" "HF_HUB_CACHE" "value" "/models") }}{{ end }}
{{- end }}
{{- range .familyEnv }}{{ $env = append $env . }}{{ end }}
{{- include "openaisle.env" (dict "env" $env "own" .env) }}
{{- end }}

{{- /* The variables .env without those that .own, which the user wrote, has too; then those. */ -}}
{{- define "openaisle.env" -}}
{{- $own := list }}
{{- range .own }}{{ $own = append $own .name }}{{ end }}
{{- $kept := list }}
{{- range .env }}{{ if not (has .name $own) }}{{ $kept = append $kept . }}{{ end }}{{ end }}
{{- with concat $kept .own }}
env: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
