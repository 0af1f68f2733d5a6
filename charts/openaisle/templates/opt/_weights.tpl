{{- /*
Where a model's weights come from:

  openaisle.weightsVolume       the volume of a pod that serves or fetches them
  openaisle.weightsClaim        name of the claim that the model's replicas share
  openaisle.downloads           whether an init container fetches them
  openaisle.downloadContainer   a container that fetches them into that volume: dict "context" $ "model" . "image" ..
  openaisle.hubEnv              the variables by which the Hub is asked, as a JSON array
  openaisle.hubEgress           rules of a NetworkPolicy that let a pod reach the Hub
  openaisle.weightsErrors       a JSON array of what is wrong with them: dict "context" $ "where" .. "model" .
*/ -}}

{{- define "openaisle.weightsVolume" -}}
{{- if eq .weights.from "claim" }}
- {name: weights, persistentVolumeClaim: {claimName: {{ .weights.claimName | quote }}, readOnly: true}}
{{- else if eq .weights.from "image" }}
- {name: weights, image: {reference: {{ .weights.image | quote }}}}
{{- else if ne .weights.from "hub" }}
{{- else if eq .weights.cache.type "emptyDir" }}
- {name: weights, emptyDir: {sizeLimit: {{ include "openaisle.cacheSize" . }}}}
{{- else if eq .weights.cache.type "shared" }}
- {name: weights, persistentVolumeClaim: {claimName: {{ include "openaisle.weightsClaim" . | quote }}}}
{{- end }}
{{- end }}

{{- define "openaisle.weightsClaim" -}}
{{ default (printf "%s-weights" .objectName) .weights.cache.claimName }}
{{- end }}

{{- /* Not empty where an init container fetches them; vLLM has a client of its own, for more than OPT. */ -}}
{{- define "openaisle.downloads" -}}
{{- if and (eq .weights.from "hub") (eq .engine "opt") }}yes{{ end }}
{{- end }}

{{- define "openaisle.downloadContainer" -}}
name: download
image: {{ .image | quote }}
imagePullPolicy: {{ .context.Values.image.pullPolicy }}
{{- with .model }}
workingDir: /opt/openaisle
command:
  - python
  - -m
  - openaisle_opt.fetch
  - {{ .model | quote }}
  - --into=/models
  # Where the server will listen, so that the gateway and Prometheus hear how far it is.
  - --port=8000
  {{- with .weights.revision }}
  - --revision={{ . }}
  {{- end }}
{{- /* A proxy may be among the model's own variables. */}}
{{- include "openaisle.env" (dict "env" (include "openaisle.hubEnv" . | fromJsonArray) "own" .env) }}
{{- end }}
# The sentence with which it ends is in the pod's status.
terminationMessagePolicy: FallbackToLogsOnError
resources:
  requests: {cpu: 100m, memory: 128Mi}
  limits: {cpu: "2", memory: 512Mi}
securityContext: {{- include "openaisle.containerSecurity" .context | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: weights, mountPath: /models}
{{- end }}

{{- define "openaisle.hubEnv" -}}
{{- $env := list }}
{{- with .weights.endpoint }}{{ $env = append $env (dict "name" "HF_ENDPOINT" "value" .) }}{{ end }}
{{- with .weights.tokenSecret }}
{{- if .name }}{{ $env = append $env (dict "name" "HF_TOKEN" "valueFrom" (dict "secretKeyRef" (dict "name" .name "key" .key))) }}{{ end }}
{{- end }}
{{- toJson $env }}
{{- end }}

{{- define "openaisle.weightsErrors" -}}
{{- $errors := list }}
{{- $where := .where }}
{{- $model := .model }}
{{- $namespace := .context.Release.Namespace }}
{{- $reachable := lookup "v1" "ConfigMap" $namespace "kube-root-ca.crt" }}
{{- $pods := int .model.replicas }}
{{- if eq .model.rollout "surge" }}{{ $pods = add1 $pods | int }}{{ end }}
{{- with .model.weights }}
{{- if and (eq .from "bundled") (ne $model.model "openaisle/tiny-opt") }}
{{- $errors = append $errors (printf "%s: only openaisle/tiny-opt is in the image; for %s write weights.from: hub, claim or image." $where $model.model) }}
{{- end }}
{{- if and (eq .from "hub") (eq $model.model "openaisle/tiny-opt") }}
{{- $errors = append $errors (printf "%s: openaisle/tiny-opt isn't on the Hub; write weights.from: bundled or another model." $where) }}
{{- end }}
{{- if and (eq .from "claim") (not .claimName) }}
{{- $errors = append $errors (printf "%s: weights.from is claim, so write the claim's name in weights.claimName." $where) }}
{{- end }}
{{- range $key, $from := dict "claimName" "claim" "image" "image" }}
{{- if and (get $model.weights $key) (ne $model.weights.from $from) }}
{{- $errors = append $errors (printf "%s: weights.%s is set, so write weights.from: %s, or remove it." $where $key $from) }}
{{- end }}
{{- end }}
{{- $own := default dict $.entry.weights }}
{{- $ownToken := dig "tokenSecret" "name" "" $own }}
{{- range $key, $value := dict "revision" $own.revision "endpoint" $own.endpoint "tokenSecret" $ownToken }}
{{- if and $value (ne $model.weights.from "hub") }}
{{- $errors = append $errors (printf "%s: weights.%s is for what is fetched from the Hub, and weights.from is %s; remove it, or write weights.from: hub." $where $key $model.weights.from) }}
{{- end }}
{{- end }}
{{- if and $own.path (has .from (list "bundled" "hub")) }}
{{- $errors = append $errors (printf "%s: weights.path is a folder of a claim or an image, and weights.from is %s; remove it, or write weights.from: claim or image." $where .from) }}
{{- end }}
{{- if or (hasPrefix "/" .path) (has ".." (splitList "/" .path)) }}
{{- $errors = append $errors (printf "%s: weights.path is %s, and has to lie within the claim or image; write it without a leading slash and without two dots." $where .path) }}
{{- end }}
{{- $kept := default dict $own.cache }}
{{- if and $kept.storageClassName (eq .cache.type "emptyDir") }}
{{- $errors = append $errors (printf "%s: weights.cache.storageClassName is for a volume that is kept, so write weights.cache.type: claim or shared." $where) }}
{{- end }}
{{- if and $kept.accessMode (ne .cache.type "shared") }}
{{- $errors = append $errors (printf "%s: weights.cache.accessMode is for a volume that replicas share, so write weights.cache.type: shared, or remove it." $where) }}
{{- end }}
{{- if and (eq .from "image") (not .image) }}
{{- $errors = append $errors (printf "%s: weights.from is image, so write the image's name in weights.image." $where) }}
{{- end }}
{{- if and (eq .from "image") (semverCompare "<1.31-0" $.context.Capabilities.KubeVersion.Version) }}
{{- $errors = append $errors (printf "%s: weights.from is image, and Kubernetes %s has no volumes of images (1.31 has, behind the feature gate ImageVolume); write weights.from: claim." $where $.context.Capabilities.KubeVersion.Version) }}
{{- end }}
{{- $shared := and (eq .from "hub") (eq .cache.type "shared") }}
{{- if and .cache.claimName (not $shared) }}
{{- $errors = append $errors (printf "%s: weights.cache.claimName is set, so write weights.from: hub and weights.cache.type: shared; a volume that holds the weights already goes into weights.claimName." $where) }}
{{- end }}
{{- if and .preload (not $shared) }}
{{- $errors = append $errors (printf "%s: weights.preload fills a volume that outlives the Job, so write weights.from: hub and weights.cache.type: shared." $where) }}
{{- end }}
{{- if and $shared (not .cache.claimName) (gt $pods 1) (eq .cache.accessMode "ReadWriteOnce") }}
{{- $errors = append $errors (printf "%s: %d pods cannot share a volume whose access mode is ReadWriteOnce; write weights.cache.accessMode: ReadWriteMany (the StorageClass has to offer it), or weights.cache.type: claim for a volume each." $where $pods) }}
{{- end }}
{{- $given := dict "claim" (list "weights.claimName" .claimName "ReadOnlyMany or ReadWriteMany") }}
{{- if $shared }}{{ $given = dict "hub" (list "weights.cache.claimName" .cache.claimName "ReadWriteMany") }}{{ end }}
{{- with get $given .from }}
{{- $claim := lookup "v1" "PersistentVolumeClaim" $namespace (index . 1) }}
{{- if not (and $reachable (index . 1)) }}
{{- else if not $claim }}
{{- $errors = append $errors (printf "%s: there is no PersistentVolumeClaim %s in the namespace %s; make it, or correct %s." $where (index . 1) $namespace (index . 0)) }}
{{- else if and (gt $pods 1) (not (has "ReadWriteMany" $claim.spec.accessModes)) (or $shared (not (has "ReadOnlyMany" $claim.spec.accessModes))) }}
{{- $errors = append $errors (printf "%s: %d replicas cannot share the claim %s, whose access mode is %s; write replicas: 1 or use a claim with %s." $where $pods (index . 1) (join ", " $claim.spec.accessModes) (index . 2)) }}
{{- end }}
{{- end }}
{{- if and $reachable $shared (not .cache.claimName) }}
{{- with lookup "v1" "PersistentVolumeClaim" $namespace (include "openaisle.weightsClaim" $model) }}
{{- $mode := first .spec.accessModes }}
{{- $class := default "" .spec.storageClassName }}
{{- if or (ne $mode $model.weights.cache.accessMode) (and $model.weights.cache.storageClassName (ne $class $model.weights.cache.storageClassName)) }}
{{- $errors = append $errors (printf "%s: the claim %s is there with the access mode %s and the StorageClass %s, which cannot be changed in place; write these, or delete it once no pod uses it: kubectl delete pvc %s -n %s" $where .metadata.name $mode $class .metadata.name $namespace) }}
{{- end }}
{{- $size := include "openaisle.cacheSize" $model }}
{{- $had := .spec.resources.requests.storage }}
{{- $grows := subf (include "openaisle.quantity" $size | float64) (include "openaisle.quantity" $had | float64) }}
{{- $named := $model.weights.cache.size }}
{{- if and $named (lt $grows 0.0) }}
{{- $errors = append $errors (printf "%s: the claim %s has %s, and a volume cannot be made smaller; write weights.cache.size: %s, or delete it once no pod uses it: kubectl delete pvc %s -n %s" $where .metadata.name $had $had .metadata.name $namespace) }}
{{- else if and (gt $grows 0.0) (or (not $named) (ne (dig "phase" "" .status) "Bound")) }}
{{- $errors = append $errors (printf "%s: the model takes a volume of %s, and the claim %s has %s; once it is bound, weights.cache.size: %s makes it grow where its StorageClass allows that; or delete it once no pod uses it: kubectl delete pvc %s -n %s" $where $size .metadata.name $had $size .metadata.name $namespace) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $reachable .tokenSecret.name }}
{{- $secret := lookup "v1" "Secret" $namespace .tokenSecret.name }}
{{- if not (hasKey (default dict (get $secret "data")) .tokenSecret.key) }}
{{- $errors = append $errors (printf "%s: there is no Secret %s with a key %s in the namespace %s; make it with: kubectl create secret generic %s -n %s --from-literal=%s=hf_..." $where .tokenSecret.name .tokenSecret.key $namespace .tokenSecret.name $namespace .tokenSecret.key) }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $errors }}
{{- end }}

{{- /* Rules of a NetworkPolicy that let a pod reach the Hub. */ -}}
{{- define "openaisle.hubEgress" -}}
{{ include "openaisle.dnsEgress" . }}
- ports:
    {{- range .Values.networkPolicy.hubPorts }}
    - {port: {{ int . }}}
    {{- end }}
{{- end }}
