{{- /*
openaisle.models: the entries of `models` with `modelDefaults` and their GPU family filled in, as a
JSON array. Beside the keys of values.yaml each has

  objectName    name of its StatefulSet and Service
  servedName    the id that clients use
  families      names of its GPU families, the first preferred
  resourceName  what a GPU is called in resource requests; empty on cpu
  gpus          GPUs of a replica
  variant       the image's variant for these families
  image         full name of the image; ownImage tells whether the values name it
  dtype         number format
  familyEnv     environment that the families ask for
  footprint     memory that it takes (_sizes.tpl)
  fits          whether it fits a GPU, by family
  terms         nodeSelectorTerms by family: [[{matchExpressions: ..}, ..], ..]; only GPUs on which it fits
*/ -}}

{{- define "openaisle.models" -}}
{{- $root := . }}
{{- include "openaisle.checkValues" . }}
{{- $models := list }}
{{- range .Values.models }}
{{- /* What is empty by default may be null in the values. */}}
{{- $empty := dict "parameters" "" "weights" (dict "path" "") "tolerations" list "resources" dict "env" list "extraArgs" list "nodeSelector" dict }}
{{- $model := mergeOverwrite $empty (deepCopy $root.Values.modelDefaults) (deepCopy .) }}
{{- $families := kindIs "string" $model.gpuFamily | ternary (list $model.gpuFamily) $model.gpuFamily }}
{{- $family := get $root.Values.gpuFamilies (first $families) }}
{{- $resource := default "" $family.resourceName }}
{{- $gpus := int $model.gpus }}
{{- if and $resource (eq $gpus 0) }}{{ $gpus = 1 }}{{ end }}
{{- $weights := $model.weights }}
{{- if not $weights.from }}
{{- $_ := set $weights "from" (ternary "bundled" "hub" (eq $model.model "openaisle/tiny-opt")) }}
{{- end }}
{{- $variants := list }}
{{- range $variant := default (list "cpu") $family.imageVariants }}
{{- $shared := true }}
{{- range rest $families }}
{{- if not (has $variant (get $root.Values.gpuFamilies .).imageVariants) }}{{ $shared = false }}{{ end }}
{{- end }}
{{- if $shared }}{{ $variants = append $variants $variant }}{{ end }}
{{- end }}
{{- $variant := default "" (first $variants) }}
{{- $_ := set $model "ownImage" (ne $model.image "") }}
{{- if not $model.image }}
{{- $suffix := eq $variant "cpu" | ternary "" (printf "-%s" $variant) }}
{{- $own := include "openaisle.image" (dict "context" $root "name" "opt" "suffix" $suffix) }}
{{- $_ := set $model "image" (ternary $root.Values.image.vllm $own (eq $model.engine "vllm")) }}
{{- end }}
{{- $dtype := default (include "openaisle.commonDtype" (dict "context" $root "families" $families)) $model.dtype }}
{{- $footprint := include "openaisle.footprint" (dict "parameters" $model.parameters "model" $model.model "dtype" $dtype "contextLength" $model.contextLength) | fromJson }}
{{- $terms := list }}
{{- $fits := list }}
{{- $env := list }}
{{- range $families }}
{{- $env = concat $env (default list (get $root.Values.gpuFamilies .).env) }}
{{- $sizes := dict "family" (get $root.Values.gpuFamilies .) "footprint" $footprint "gpus" $gpus "sharedGpus" $model.sharedGpus }}
{{- $fits = append $fits (include "openaisle.fittingGpus" $sizes | fromJsonArray | empty | not) }}
{{- $terms = append $terms (include "openaisle.familyTerms" $sizes | fromJsonArray) }}
{{- end }}
{{- $_ := set $model "objectName" (printf "%s-%s" (include "openaisle.fullname" $root) $model.name) }}
{{- $_ := set $model "servedName" (default $model.model $model.servedModelName) }}
{{- $_ := set $model "families" $families }}
{{- $_ := set $model "resourceName" $resource }}
{{- $_ := set $model "gpus" $gpus }}
{{- $_ := set $model "variant" $variant }}
{{- $_ := set $model "dtype" $dtype }}
{{- $_ := set $model "familyEnv" (uniq $env) }}
{{- $_ := set $model "footprint" $footprint }}
{{- $_ := set $model "fits" $fits }}
{{- $_ := set $model "terms" $terms }}
{{- $models = append $models $model }}
{{- end }}
{{- include "openaisle.checkModels" (dict "context" . "models" $models) }}
{{- toJson $models }}
{{- end }}

{{- /* The number format that all these families compute in. */ -}}
{{- define "openaisle.commonDtype" -}}
{{- $dtypes := list }}
{{- range .families }}{{ $dtypes = append $dtypes (default "auto" (get $.context.Values.gpuFamilies .).dtype) }}{{ end }}
{{- if has "float32" $dtypes }}float32{{ else if has "float16" $dtypes }}float16{{ else }}{{ first $dtypes }}{{ end }}
{{- end }}

{{- /* Memory in GiB that each of .gpus GPUs needs: its share, and one for the runtime and a step's activations. */ -}}
{{- define "openaisle.neededGiB" -}}
{{- with .footprint.weightsGiB }}{{ addf 1.0 (divf (addf . $.footprint.cacheGiB) (max 1 (int $.gpus) | float64)) }}{{ else }}0{{ end }}
{{- end }}

{{- /* The entries of a family's `gpus` that have the memory. */ -}}
{{- define "openaisle.fittingGpus" -}}
{{- $needed := include "openaisle.neededGiB" . | float64 }}
{{- $fitting := list }}
{{- range .family.gpus }}{{ if ge (float64 .memoryGiB) $needed }}{{ $fitting = append $fitting . }}{{ end }}{{ end }}
{{- toJson $fitting }}
{{- end }}

{{- /*
nodeSelectorTerms of a family, one for each label that may tell the GPU; none if it asks for no label.
GPU feature discovery calls a slice, and a GPU that is shared in time, by another product name. GKE calls them
as the whole GPU, and tells by further labels. Karpenter calls GPUs of any memory, and fractions of one, by one name; EKS
Auto Mode sets Karpenter's labels under a prefix of its own.
*/ -}}
{{- define "openaisle.familyTerms" -}}
{{- $shared := .sharedGpus }}
{{- $needed := include "openaisle.neededGiB" . | float64 }}
{{- $labels := dict }}
{{- range include "openaisle.fittingGpus" . | fromJsonArray }}
{{- range $label, $values := .nodeLabels }}
{{- if and $shared (eq $label "nvidia.com/gpu.product") }}
{{- range $values }}{{ $values = append $values (printf "%s-SHARED" .) }}{{ end }}
{{- end }}
{{- $_ := set $labels $label (concat (default list (get $labels $label)) $values) }}
{{- end }}
{{- end }}
{{- $terms := list }}
{{- range $label, $values := $labels }}
{{- $expressions := list (dict "key" $label "operator" "In" "values" (uniq $values)) }}
{{- if and $needed (eq $label "karpenter.k8s.aws/instance-gpu-name") }}
{{- $expressions = append $expressions (dict "key" "karpenter.k8s.aws/instance-gpu-memory" "operator" "Gt" "values" (list (mulf $needed 1024.0 | int | toString))) }}
{{- end }}
{{- if eq $label "cloud.google.com/gke-accelerator" }}
{{- $expressions = append $expressions (dict "key" "cloud.google.com/gke-gpu-partition-size" "operator" "DoesNotExist") }}
{{- if not $shared }}
{{- $expressions = append $expressions (dict "key" "cloud.google.com/gke-gpu-sharing-strategy" "operator" "DoesNotExist") }}
{{- end }}
{{- end }}
{{- $terms = append $terms (dict "matchExpressions" $expressions) }}
{{- if hasPrefix "karpenter.k8s.aws/" $label }}
{{- $auto := list }}
{{- range $expressions }}{{ $auto = append $auto (set (deepCopy .) "key" (replace "karpenter.k8s.aws/" "eks.amazonaws.com/" .key)) }}{{ end }}
{{- $terms = append $terms (dict "matchExpressions" $auto) }}
{{- end }}
{{- end }}
{{- toJson $terms }}
{{- end }}

{{- /*
Requests and limits of a model's container. On cpu the memory holds the weights, the cache and 1 GiB
for the programs; on a GPU family it holds the weights while they are read. Each further GPU has a process of its own.
*/ -}}
{{- define "openaisle.modelResources" -}}
{{- $weights := default 0.0 .footprint.weightsGiB }}
{{- $cache := default 0.0 .footprint.cacheGiB }}
{{- $requests := dict "cpu" "1" "memory" "1536Mi" }}
{{- $limits := dict "cpu" "4" "memory" "3Gi" }}
{{- if .resourceName }}
{{- $memory := printf "%dGi" (addf 4.0 (mulf 2.0 (subf (float64 .gpus) 1.0)) $weights | ceil | int) }}
{{- $requests = dict "cpu" (max 2 (int .gpus) | toString) "memory" $memory }}
{{- $limits = dict "cpu" (max 8 (int .gpus) | toString) "memory" $memory }}
{{- else if gt $weights 0.1 }}
{{- $memory := printf "%dGi" (addf 1.0 (mulf 1.1 $weights) (mulf 8.0 $cache) | ceil | int) }}
{{- $requests = dict "cpu" "2" "memory" $memory }}
{{- $limits = dict "cpu" "16" "memory" $memory }}
{{- end }}
{{- $resources := mergeOverwrite (dict "requests" $requests "limits" $limits) (deepCopy .resources) }}
{{- /* Who writes only one of the two gets the other along with it: a request larger than its limit is refused. */}}
{{- $own := .resources }}
{{- range $name := list "cpu" "memory" }}
{{- $request := dig "requests" $name "" $own }}
{{- $limit := dig "limits" $name "" $own }}
{{- $requested := include "openaisle.quantity" (get $resources.requests $name) | float64 }}
{{- $limited := include "openaisle.quantity" (get $resources.limits $name) | float64 }}
{{- if and $requested $limited (gt $requested $limited) }}
{{- if and $request (not $limit) }}{{ $_ := set $resources.limits $name $request }}{{ end }}
{{- if and $limit (not $request) }}{{ $_ := set $resources.requests $name $limit }}{{ end }}
{{- end }}
{{- end }}
{{- if .resourceName }}
{{- $_ := set $resources.requests .resourceName (toString .gpus) }}
{{- $_ := set $resources.limits .resourceName (toString .gpus) }}
{{- end }}
{{- toYaml $resources }}
{{- end }}

{{- /* Seconds until a model that isn't ready is restarted: five minutes, and what its weights take at 20 MB/s. */ -}}
{{- define "openaisle.startupSeconds" -}}
{{- if .startupTimeoutSeconds }}{{ int .startupTimeoutSeconds }}
{{- else }}{{ addf 300.0 (mulf 54.0 (default 100.0 .footprint.weightsGiB)) | int }}{{ end }}
{{- end }}

{{- /*
Seconds that running completions get to finish: what a sequence of full length takes while others run beside it. A token
takes as long as the weights take to pass once, at 10 GB/s on cpu and 200 GB/s on a GPU, and 20 ms for all else.
*/ -}}
{{- define "openaisle.graceSeconds" -}}
{{- if .gracePeriodSeconds }}{{ int .gracePeriodSeconds }}
{{- else }}
{{- $tokens := default 2048 .contextLength | float64 }}
{{- $bandwidth := ternary 10.0 200.0 (eq .resourceName "") }}
{{- $seconds := mulf $tokens (addf 0.02 (divf (default 1.0 .footprint.weightsGiB) $bandwidth)) }}
{{- min 3600 (max 60 (ceil $seconds | int)) }}
{{- end }}
{{- end }}

{{- /* Seconds that a request may be under way in the gateway: the longest wait, and the longest answer. */ -}}
{{- define "openaisle.longestGraceSeconds" -}}
{{- $longest := 60 }}
{{- range include "openaisle.models" . | fromJsonArray }}{{ $longest = max $longest (include "openaisle.graceSeconds" . | int) }}{{ end }}
{{- add $longest .Values.adapter.waitSeconds }}
{{- end }}

{{- /* Size of the volume for downloads: the Hub holds OPT in up to three forms. */ -}}
{{- define "openaisle.cacheSize" -}}
{{- if .weights.cache.size }}{{ .weights.cache.size }}
{{- else }}{{ printf "%dGi" (max 5 (mulf 3.0 (default 20.0 .footprint.weightsGiB) | ceil | int)) }}{{ end }}
{{- end }}
