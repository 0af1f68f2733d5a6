{{- /*
What cannot work is refused before an object is made: every check appends a sentence, and all are told at once.

  openaisle.checkValues   values as they are written: keys (_keys.tpl), forms (_forms.tpl), names, families
  openaisle.checkModels   resolved models: names' length, GPUs, memory, weights
  openaisle.checkAccess   how clients get in: keys, Ingress, HTTPRoute
*/ -}}

{{- define "openaisle.refuse" -}}
{{- if . }}{{ printf "these values cannot work:\n\n- %s\n" (join "\n- " .) | fail }}{{ end }}
{{- end }}

{{- define "openaisle.checkValues" -}}
{{- include "openaisle.refuse" (include "openaisle.nullErrors" . | fromJsonArray) }}
{{- $errors := list }}
{{- $hints := .Files.Get "files/hints.yaml" | fromYaml }}
{{- $errors = concat $errors (include "openaisle.hintErrors" (dict "hints" $hints.values "values" .Values "defaults" .Values "prefix" "") | fromJsonArray) }}
{{- range $section := omit $hints "values" "model" "weights" | keys | sortAlpha }}
{{- $values := get $.Values $section }}
{{- $errors = concat $errors (include "openaisle.hintErrors" (dict "hints" (get $hints $section) "values" $values "defaults" $values "prefix" (printf "%s." $section)) | fromJsonArray) }}
{{- end }}
{{- $defaults := .Values.modelDefaults }}
{{- $errors = concat $errors (include "openaisle.hintErrors" (dict "hints" $hints.model "values" $defaults "defaults" $defaults "prefix" "modelDefaults.") | fromJsonArray) }}
{{- $errors = concat $errors (include "openaisle.hintErrors" (dict "hints" $hints.weights "values" $defaults.weights "defaults" $defaults.weights "prefix" "modelDefaults.weights.") | fromJsonArray) }}
{{- $errors = concat $errors (include "openaisle.formErrors" . | fromJsonArray) }}
{{- $names := list }}
{{- range $i, $entry := .Values.models }}
{{- $where := printf "models[%d]" $i }}
{{- if not .name }}
{{- $errors = append $errors (printf "%s: a model needs a name, for example `name: opt-125m`." $where) }}
{{- else }}
{{- $where = printf "models[%d] (%s)" $i .name }}
{{- $errors = concat $errors (include "openaisle.nameErrors" (dict "where" $where "name" .name) | fromJsonArray) }}
{{- if has .name $names }}{{ $errors = append $errors (printf "%s: another model has this name; names of models must differ (servedModelName may be the same)." $where) }}{{ end }}
{{- if has .name (list "adapter" "demo" "doctor" "keys" "operator" "test") }}{{ $errors = append $errors (printf "%s: the name is that of a part of OpenAISLE; choose another." $where) }}{{ end }}
{{- $names = append $names .name }}
{{- end }}
{{- $errors = concat $errors (include "openaisle.hintErrors" (dict "hints" $hints.model "values" . "defaults" $defaults "prefix" "" "where" $where) | fromJsonArray) }}
{{- $errors = concat $errors (include "openaisle.hintErrors" (dict "hints" $hints.weights "values" .weights "defaults" $defaults.weights "prefix" "weights." "where" $where) | fromJsonArray) }}
{{- $errors = concat $errors (include "openaisle.familyErrors" (dict "context" $ "where" $where "gpuFamily" (default $.Values.modelDefaults.gpuFamily .gpuFamily)) | fromJsonArray) }}
{{- end }}
{{- include "openaisle.refuse" $errors }}
{{- end }}

{{- /* A JSON array of what is wrong with a model's choice of families. */ -}}
{{- define "openaisle.familyErrors" -}}
{{- $known := .context.Values.gpuFamilies }}
{{- $families := kindIs "string" .gpuFamily | ternary (list .gpuFamily) .gpuFamily }}
{{- $errors := list }}
{{- $where := .where }}
{{- $context := .context }}
{{- range $name := $families }}
{{- if not (hasKey $known $name) }}
{{- $hint := printf "choose cpu or one of %s, or describe it in gpuFamilies" (include "openaisle.gpuFamilyNames" $context) }}
{{- if hasKey $known (lower $name) }}{{ $hint = printf "write %s" (lower $name) }}{{ end }}
{{- /* "t4" and "rtx4090" tell a GPU; "tesla" doesn't. */}}
{{- $product := regexReplaceAll "([a-z])([0-9])" (regexQuoteMeta (lower $name)) "${1}[-_]?${2}" }}
{{- range $family, $settings := regexMatch "[0-9]" $name | ternary $known dict }}
{{- range $settings.gpus }}
{{- range $_, $values := .nodeLabels }}
{{- range $values }}
{{- /* A slice is another product than its GPU. */}}
{{- if and (regexMatch (printf "(?i)(^|[-_])%s([-_]|$)" $product) .) (or (contains "mig" (lower $name)) (not (contains "-MIG-" .))) }}{{ $hint = printf "the %s is in the family %s" (upper $name) $family }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- $errors = append $errors (printf "%s: gpuFamily %s doesn't exist; %s." $where $name $hint) }}
{{- end }}
{{- end }}
{{- if and (not $errors) (gt (len $families) 1) }}
{{- $first := get $known (first $families) }}
{{- range rest $families }}
{{- $other := get $known . }}
{{- if ne (default "" $first.resourceName) (default "" $other.resourceName) }}
{{- $errors = append $errors (printf "%s: gpuFamily lists %s and %s, whose GPUs are requested by different names (%s and %s); write two models with the same servedModelName." $where (first $families) . (default "none" $first.resourceName) (default "none" $other.resourceName)) }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $errors }}
{{- end }}

{{- define "openaisle.checkModels" -}}
{{- $context := .context }}
{{- $errors := list }}
{{- range $i, $model := .models }}
{{- $where := printf "models[%d] (%s)" $i .name }}
{{- if gt (len .objectName) 52 }}
{{- $errors = append $errors (printf "%s: its StatefulSet would be called %s, %d characters, and Kubernetes allows 52; shorten the model's name or set fullnameOverride." $where .objectName (len .objectName)) }}
{{- end }}
{{- if and (not .resourceName) (gt (int .gpus) 0) }}
{{- $errors = append $errors (printf "%s: gpus is %d on gpuFamily %s, which has no GPUs; choose a GPU family (%s) or remove gpus." $where (int .gpus) (first .families) (include "openaisle.gpuFamilyNames" $context)) }}
{{- end }}
{{- if and (gt (int .gpus) 1) (include "openaisle.isSlice" .) }}
{{- $errors = append $errors (printf "%s: gpus is %d on gpuFamily %s, and a model isn't divided between slices; choose a family of whole GPUs, or write replicas for more requests." $where (int .gpus) (first .families)) }}
{{- end }}
{{- if not .variant }}
{{- $errors = append $errors (printf "%s: no one image serves the families %s; write a model for each, with the same servedModelName." $where (join " and " .families)) }}
{{- end }}
{{- if and .resourceName (eq .variant "cpu") (eq .engine "opt") (not .ownImage) }}
{{- $errors = append $errors (printf "%s: the family %s names no image for its GPUs, and the one for cpu cannot use them; write gpuFamilies.%s.imageVariants, for example [cu126], or the model's own image." $where (first .families) (first .families)) }}
{{- end }}
{{- $heads := and (eq .engine "opt") (hasPrefix "facebook/opt-" .model) | ternary (int .footprint.heads) 0 }}
{{- if and $heads (gt (int .gpus) 1) (mod $heads (int .gpus)) }}
{{- $even := list }}
{{- range untilStep 2 17 1 }}{{ if not (mod $heads .) }}{{ $even = append $even . }}{{ end }}{{ end }}
{{- $errors = append $errors (printf "%s: gpus is %d, which doesn't divide the %d attention heads of %s evenly; numbers that do are %s." $where (int .gpus) $heads .model (join ", " $even)) }}
{{- end }}
{{- $errors = concat $errors (include "openaisle.modelFormErrors" (dict "where" $where "model" .) | fromJsonArray) }}
{{- $errors = concat $errors (include "openaisle.engineErrors" (dict "where" $where "model" .) | fromJsonArray) }}
{{- $errors = concat $errors (include "openaisle.memoryErrors" (dict "context" $context "where" $where "model" .) | fromJsonArray) }}
{{- $errors = concat $errors (include "openaisle.weightsErrors" (dict "context" $context "where" $where "model" . "entry" (index $context.Values.models $i)) | fromJsonArray) }}
{{- $errors = concat $errors (include "openaisle.rolloutErrors" (dict "context" $context "where" $where "model" .) | fromJsonArray) }}
{{- end }}
{{- include "openaisle.refuse" $errors }}
{{- end }}

{{- /* The slices are as good as one of them. */ -}}
{{- define "openaisle.gpuFamilyNames" -}}
{{- $names := list }}
{{- range $name, $family := .Values.gpuFamilies }}
{{- if and $family.resourceName (or (not (hasPrefix "mig-" $name)) (eq $name "mig-1g.10gb")) }}{{ $names = append $names (eq $name "mig-1g.10gb" | ternary "mig-1g.10gb (and other slices)" $name) }}{{ end }}
{{- end }}
{{- $names | sortAlpha | join ", " }}
{{- end }}

{{- define "openaisle.engineErrors" -}}
{{- $errors := list }}
{{- with .model }}
{{- if eq .engine "vllm" }}
{{- if not .resourceName }}{{ $errors = append $errors (printf "%s: engine vllm needs a GPU family; on cpu write engine: opt." $.where) }}{{ end }}
{{- if eq .weights.from "bundled" }}{{ $errors = append $errors (printf "%s: the bundled model is in OpenAISLE's image, which engine vllm doesn't use; write engine: opt or another model." $.where) }}{{ end }}
{{- if and .resourceName (not (include "openaisle.vllmRuns" .)) (not .ownImage) }}
{{- $errors = append $errors (printf "%s: vLLM's image needs an NVIDIA GPU of compute capability 7.0, which %s isn't; write engine: opt, or name an image of vLLM for it in image." $.where (join " and " .families)) }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $errors }}
{{- end }}

{{- /* Not empty for a model on a slice of a GPU. */ -}}
{{- define "openaisle.isSlice" -}}
{{- if or (hasPrefix "nvidia.com/mig-" .resourceName) (hasPrefix "mig-" (first .families)) }}yes{{ end }}
{{- end }}

{{- /* Not empty where vLLM's published image runs: NVIDIA from volta on. */ -}}
{{- define "openaisle.vllmRuns" -}}
{{- $runs := hasPrefix "nvidia.com/" .resourceName }}
{{- range list "kepler" "maxwell" "pascal" }}{{ if has . $.families }}{{ $runs = false }}{{ end }}{{ end }}
{{- if $runs }}yes{{ end }}
{{- end }}

{{- define "openaisle.memoryErrors" -}}
{{- $errors := list }}
{{- $model := .model }}
{{- $where := .where }}
{{- with $model.footprint }}
{{- $numbers := printf "%s of %s weights %.1f GiB, and the cache of one sequence %.1f GiB" $model.model $model.dtype .weightsGiB .cacheGiB }}
{{- $total := addf .weightsGiB .cacheGiB }}
{{- range $i, $name := $model.families }}
{{- $family := get $.context.Values.gpuFamilies $name }}
{{- if and $family.gpus (not (index $model.fits $i)) }}
{{- $largest := 0.0 }}
{{- range $family.gpus }}{{ if gt (float64 .memoryGiB) $largest }}{{ $largest = float64 .memoryGiB }}{{ end }}{{ end }}
{{- $count := divf $total (subf $largest 1.0) | ceil | int }}
{{- $power := 1 }}
{{- range until 16 }}{{ if lt $power $count }}{{ $power = mul $power 2 | int }}{{ end }}{{ end }}
{{- /* More than 8 divide no OPT's heads, and a slice isn't joined to others. */}}
{{- $advice := printf "it takes %d of them, so choose a family with more memory" $power }}
{{- if and (le $power 8) (not (include "openaisle.isSlice" $model)) }}{{ $advice = printf "it takes %d of them: write gpus: %d, or choose a family with more memory" $power $power }}{{ end }}
{{- $errors = append $errors (printf "%s: the model doesn't fit: %s; with 1 GiB for the runtime that is %.1f GiB, and the largest GPU of the family %s has %.1f GiB (gpus: %d); %s." $where $numbers (addf $total 1.0) $name $largest (int $model.gpus) $advice) }}
{{- end }}
{{- if and (eq $model.dtype "bfloat16") $family.gpus (ne $family.dtype "bfloat16") }}
{{- $errors = append $errors (printf "%s: the family %s has no bfloat16; write dtype: %s or leave dtype empty." $where $name $family.dtype) }}
{{- end }}
{{- end }}
{{- $limit := dig "limits" "memory" "" $model.resources | toString }}
{{- if and (not $model.resourceName) $limit }}
{{- $limitGiB := divf (include "openaisle.quantity" $limit | float64) 1073741824.0 }}
{{- $needed := addf $total 0.5 }}
{{- if and $limitGiB (lt $limitGiB $needed) }}
{{- $errors = append $errors (printf "%s: the model doesn't fit: %s; with 0.5 GiB for the programs that is %.1f GiB, and resources.limits.memory is %s; write at least %dGi." $where $numbers $needed $limit (addf $needed 0.5 | ceil | int)) }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $errors }}
{{- end }}

{{- define "openaisle.checkAccess" -}}
{{- $errors := include "openaisle.selectorErrors" . | fromJsonArray }}
{{- $namespace := .Release.Namespace }}
{{- with .Values.auth.existingSecret }}
{{- if lookup "v1" "ConfigMap" $namespace "kube-root-ca.crt" }}
{{- $secret := lookup "v1" "Secret" $namespace . }}
{{- if not $secret }}
{{- $errors = append $errors (printf "auth.existingSecret: there is no Secret %s in the namespace %s; make it with: kubectl create secret generic %s -n %s --from-literal=default=sk-..." . $namespace . $namespace) }}
{{- else if not (get $secret "data") }}
{{- $errors = append $errors (printf "auth.existingSecret: the Secret %s holds no key; each of its entries is a key's name and the key." .) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.ingress.enabled (eq .Values.ingress.preset "f5") (not .Values.ingress.host) }}
{{- $errors = append $errors "ingress.host: F5 NGINX serves no Ingress without a host name; write one." }}
{{- end }}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) }}
{{- $errors = append $errors "httpRoute.parentRefs: name the Gateway that serves the route, for example [{name: public, namespace: gateways}]." }}
{{- end }}
{{- with .Values.ingress }}
{{- $named := join " " (keys (default dict .annotations)) | contains "cert-manager.io/" | or .tls.clusterIssuer }}
{{- if and .enabled .tls.enabled (not $named) (lookup "v1" "ConfigMap" $namespace "kube-root-ca.crt") }}
{{- $secret := default (printf "%s-tls" (include "openaisle.fullname" $)) .tls.secretName }}
{{- if not (lookup "v1" "Secret" $namespace $secret) }}
{{- $errors = append $errors (printf "ingress.tls: there is no Secret %s in the namespace %s; make it with: kubectl create secret tls %s -n %s --cert=FILE --key=FILE, or name cert-manager's ClusterIssuer in ingress.tls.clusterIssuer." $secret $namespace $secret $namespace) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.ingress.tls.clusterIssuer (not .Values.ingress.host) }}
{{- $errors = append $errors "ingress.host: cert-manager needs a host name for the certificate; write one." }}
{{- end }}
{{- include "openaisle.refuse" $errors }}
{{- end }}
