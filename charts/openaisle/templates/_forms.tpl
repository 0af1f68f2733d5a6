{{- /*
What single values have to look like. The schema could tell it only as a regular expression.

  openaisle.formErrors       a JSON array of what is wrong with names, host names, keys, labels and resources
  openaisle.familyFormErrors of the names of GPU families and of their resources
  openaisle.nameErrors       of a model's name: dict "where" "models[0]" "name" ..
  openaisle.modelFormErrors  of an entry of `models` with its defaults: dict "where" .. "model" ..
  openaisle.objectNameErrors of names of other objects: dict "adapter.priorityClassName" "high" ..
  openaisle.tolerationErrors of tolerations: dict "where" "adapter.tolerations" "tolerations" ..
  openaisle.labelErrors      of labels: dict "where" "commonLabels" "labels" ..
  openaisle.resourceErrors   of requests and limits: dict "where" "adapter.resources" "resources" ..
  openaisle.amount           a quantity as text
  openaisle.quantity         a quantity such as 500m or 16Gi as a number
*/ -}}

{{- define "openaisle.formErrors" -}}
{{- $errors := list }}
{{- range $key := list "fullnameOverride" "nameOverride" }}
{{- $name := get $.Values $key }}
{{- if not (regexMatch "^([a-z]([-a-z0-9]*[a-z0-9])?)?$" $name) }}
{{- $errors = append $errors (printf "%s: objects cannot be called %s; write small letters, digits and dashes, beginning with a letter, for example %s." $key $name (include "openaisle.dnsName" (printf "%s" $name) | default "aisle")) }}
{{- end }}
{{- end }}
{{- $name := include "openaisle.fullname" . }}
{{- if and (not .Values.fullnameOverride) (not (regexMatch "^[a-z][-a-z0-9]*$" $name)) }}
{{- $errors = append $errors (printf "fullnameOverride: the release is called %s, and the names of Services have small letters, digits and dashes only, beginning with a letter; choose another name for the release, or write fullnameOverride: openaisle." .Release.Name) }}
{{- end }}
{{- if gt (len $name) 54 }}
{{- $errors = append $errors (printf "fullnameOverride: the Service of the gateway would be called %s-adapter, %d characters, and Kubernetes allows 63; choose a shorter name for the release, or write fullnameOverride: openaisle." $name (add 8 (len $name))) }}
{{- end }}
{{- with .Values.image.registry }}
{{- if contains "://" . }}
{{- $errors = append $errors (printf "image.registry: images' names have no scheme; write %s." (splitList "://" . | last | trimSuffix "/")) }}
{{- end }}
{{- end }}
{{- $hosts := list (list "ingress.host" .Values.ingress.host) }}
{{- range $i, $host := .Values.httpRoute.hostnames }}{{ $hosts = append $hosts (list (printf "httpRoute.hostnames[%d]" $i) $host) }}{{ end }}
{{- range $hosts }}
{{- $host := default "" (index . 1) }}
{{- if not (regexMatch "^((\\*\\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$" $host) }}
{{- $right := lower $host | regexFind "[a-z0-9*][-a-z0-9.]*(:[0-9]+)?(/|$)" | trimSuffix "/" | splitList ":" | first }}
{{- $errors = append $errors (printf "%s: %s is not a host name; write %s." (first .) $host (default "llm.example.org, say" $right)) }}
{{- end }}
{{- end }}
{{- with .Values.ingress.pathPrefix }}
{{- if not (regexMatch "^(/[A-Za-z0-9._~-]+)*$" .) }}
{{- $errors = append $errors (printf "ingress.pathPrefix: %s is not the beginning of a path; write /%s." . (regexReplaceAll "[^A-Za-z0-9._~/-]+" . "-" | trimAll "/-" | default "openaisle")) }}
{{- end }}
{{- end }}
{{- $seen := dict }}
{{- range $name, $key := .Values.auth.keys }}
{{- if not (regexMatch "^[-._a-zA-Z0-9]+$" $name) }}
{{- $errors = append $errors (printf "auth.keys: a key cannot be called %s; write letters, digits, dashes, dots and underscores, for example %s." $name (regexReplaceAll "[^-._a-zA-Z0-9]+" $name "-" | default "alice")) }}
{{- end }}
{{- if regexMatch "\\s" $key }}
{{- $errors = append $errors (printf "auth.keys.%s: the key has a space in it, and no client could send it; write another." $name) }}
{{- end }}
{{- if hasKey $seen $key }}
{{- $errors = append $errors (printf "auth.keys.%s: it is the key of %s, too; give each a key of its own." $name (get $seen $key)) }}
{{- end }}
{{- $_ := set $seen $key $name }}
{{- end }}
{{- $errors = concat $errors (include "openaisle.labelErrors" (dict "where" "commonLabels" "labels" .Values.commonLabels) | fromJsonArray) }}
{{- range $label, $_ := .Values.commonLabels }}
{{- if regexMatch "^(app\\.kubernetes\\.io/(name|instance|component|version|managed-by|part-of)|helm\\.sh/chart|openaisle\\.io/.*)$" $label }}
{{- $errors = append $errors (printf "commonLabels: the chart sets %s itself; remove it, or choose another label." $label) }}
{{- end }}
{{- end }}
{{- $named := dict "auth.existingSecret" .Values.auth.existingSecret "ingress.className" .Values.ingress.className "ingress.tls.secretName" .Values.ingress.tls.secretName "ingress.tls.clusterIssuer" .Values.ingress.tls.clusterIssuer }}
{{- range $i, $secret := .Values.image.pullSecrets }}{{ $_ := set $named (printf "image.pullSecrets[%d]" $i) $secret }}{{ end }}
{{- range $part := list "adapter" "demo" "operator" }}{{ $_ := set $named (printf "%s.priorityClassName" $part) (get $.Values $part).priorityClassName }}{{ end }}
{{- $errors = concat $errors (include "openaisle.objectNameErrors" $named | fromJsonArray) }}
{{- range $part := list "clients" "metrics" }}
{{- range $i, $peer := default list (get $.Values.networkPolicy $part) }}
{{- $range := dig "ipBlock" "cidr" "0.0.0.0/0" $peer }}
{{- if not (regexMatch "^[0-9a-fA-F.:]+/[0-9]{1,3}$" $range) }}
{{- $errors = append $errors (printf "networkPolicy.%s[%d].ipBlock.cidr: %s is not a range of addresses; write %s." $part $i $range (regexMatch "^[0-9.]+$" $range | ternary (printf "%s/32" $range) "one such as 10.0.0.0/8")) }}
{{- end }}
{{- end }}
{{- end }}
{{- $errors = concat $errors (include "openaisle.familyFormErrors" . | fromJsonArray) }}
{{- range $part := list "adapter" "demo" "operator" "doctor" }}
{{- $settings := get $.Values $part }}
{{- $errors = concat $errors (include "openaisle.resourceErrors" (dict "where" (printf "%s.resources" $part) "resources" $settings.resources) | fromJsonArray) }}
{{- $errors = concat $errors (include "openaisle.tolerationErrors" (dict "where" (printf "%s.tolerations" $part) "tolerations" $settings.tolerations) | fromJsonArray) }}
{{- $errors = concat $errors (include "openaisle.labelErrors" (dict "where" (printf "%s.nodeSelector" $part) "labels" (default dict $settings.nodeSelector)) | fromJsonArray) }}
{{- end }}
{{- toJson $errors }}
{{- end }}

{{- define "openaisle.familyFormErrors" -}}
{{- $errors := list }}
{{- range $name, $family := .Values.gpuFamilies }}
{{- if not (regexMatch "^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$" $name) }}
{{- $errors = append $errors (printf "gpuFamilies: a family cannot be called %s, since its pods have it as a label; write at most 63 letters, digits, dashes, dots and underscores, for example %s." $name (include "openaisle.dnsName" $name | default "our-gpu" | trunc 63 | trimSuffix "-")) }}
{{- end }}
{{- $errors = concat $errors (include "openaisle.objectNameErrors" (dict (printf "gpuFamilies.%s.runtimeClassName" $name) $family.runtimeClassName) | fromJsonArray) }}
{{- $errors = concat $errors (include "openaisle.tolerationErrors" (dict "where" (printf "gpuFamilies.%s.tolerations" $name) "tolerations" $family.tolerations) | fromJsonArray) }}
{{- with $family.resourceName }}
{{- if not (regexMatch "^[a-z0-9][-a-z0-9.]*/[A-Za-z0-9][-A-Za-z0-9_.]*$" .) }}
{{- $errors = append $errors (printf "gpuFamilies.%s.resourceName: no device plugin offers %s; write a name such as nvidia.com/gpu, which kubectl describe nodes shows." $name .) }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $errors }}
{{- end }}

{{- /* The text as a part of a host name: Opt_6.7B is opt-6-7b. */ -}}
{{- define "openaisle.dnsName" -}}
{{ regexReplaceAll "[^a-z0-9]+" (lower .) "-" | trimAll "-" }}
{{- end }}

{{- define "openaisle.nameErrors" -}}
{{- $errors := list }}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" .name) }}
{{- $errors = append $errors (printf "%s: the name is part of a host name, so it has small letters, digits and dashes only; write name: %s (clients see model, or servedModelName)." .where (include "openaisle.dnsName" .name | default "opt-125m")) }}
{{- end }}
{{- toJson $errors }}
{{- end }}

{{- define "openaisle.modelFormErrors" -}}
{{- $errors := list }}
{{- $where := .where }}
{{- with .model }}
{{- if and (eq .weights.from "hub") (not (regexMatch "^[A-Za-z0-9][\\w.-]*(/[\\w.-]+)?$" .model)) }}
{{- $right := regexFind "[A-Za-z0-9][\\w-]*/[\\w.-]+/?$" .model | trimSuffix "/" | default "one such as facebook/opt-125m" }}
{{- if hasPrefix "/" .model }}{{ $right = "weights.from: claim for a folder of a volume, and its path in weights.path" }}{{ end }}
{{- $errors = append $errors (printf "%s: model %s is not an id of the Hub; write %s." $where .model $right) }}
{{- end }}
{{- if and .weights.endpoint (not (regexMatch "^https?://[^/\\s]+" .weights.endpoint)) }}
{{- $errors = append $errors (printf "%s: weights.endpoint %s is not an address; write https://%s." $where .weights.endpoint (splitList "://" .weights.endpoint | last)) }}
{{- end }}
{{- if not (regexMatch "^([0-9]+(\\.[0-9]+)?[mMbB])?$" .parameters) }}
{{- $errors = append $errors (printf "%s: parameters %s is not a number of parameters; write it in millions or billions, for example 350m or 6.7b." $where .parameters) }}
{{- end }}
{{- if and .weights.cache.size (not (regexMatch "^[0-9]+(\\.[0-9]+)?([kMGTPE]|[KMGTPE]i)?$" .weights.cache.size)) }}
{{- $errors = append $errors (printf "%s: weights.cache.size %s is not a size; write %sGi." $where .weights.cache.size (regexFind "[0-9]+" .weights.cache.size | default "60")) }}
{{- end }}
{{- if and (regexMatch "^(facebook/opt-|openaisle/tiny-opt$)" .model) (gt (int .contextLength) 2048) }}
{{- $errors = append $errors (printf "%s: contextLength is %d, and %s reads 2048 tokens at most; write contextLength: 2048, or 0 for as many as it can." $where (int .contextLength) .model) }}
{{- end }}
{{- $named := dict }}
{{- range $key, $name := dict "priorityClassName" .priorityClassName "weights.claimName" .weights.claimName "weights.tokenSecret.name" .weights.tokenSecret.name "weights.cache.claimName" .weights.cache.claimName "weights.cache.storageClassName" .weights.cache.storageClassName }}
{{- $_ := set $named (printf "%s: %s" $where $key) $name }}
{{- end }}
{{- $errors = concat $errors (include "openaisle.objectNameErrors" $named | fromJsonArray) }}
{{- $errors = concat $errors (include "openaisle.tolerationErrors" (dict "where" (printf "%s: tolerations" $where) "tolerations" .tolerations) | fromJsonArray) }}
{{- $errors = concat $errors (include "openaisle.labelErrors" (dict "where" (printf "%s: nodeSelector" $where) "labels" .nodeSelector) | fromJsonArray) }}
{{- $resources := include "openaisle.modelResources" . | fromYaml }}
{{- $errors = concat $errors (include "openaisle.resourceErrors" (dict "where" (printf "%s: resources" $where) "resources" $resources) | fromJsonArray) }}
{{- end }}
{{- toJson $errors }}
{{- end }}

{{- define "openaisle.objectNameErrors" -}}
{{- $errors := list }}
{{- range $where, $name := . }}
{{- if and $name (not (regexMatch "^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$" $name)) }}
{{- $errors = append $errors (printf "%s: no object of Kubernetes is called %s; its name has small letters, digits, dashes and dots only." $where $name) }}
{{- end }}
{{- end }}
{{- toJson $errors }}
{{- end }}

{{- define "openaisle.tolerationErrors" -}}
{{- $errors := list }}
{{- range $i, $toleration := .tolerations }}
{{- $exists := eq (default "Equal" .operator) "Exists" }}
{{- if and $exists .value }}
{{- $errors = append $errors (printf "%s[%d]: operator Exists takes no value; remove value, or write operator: Equal." $.where $i) }}
{{- else if not (or $exists .key) }}
{{- $errors = append $errors (printf "%s[%d]: write the key of the taint, or operator: Exists for every taint." $.where $i) }}
{{- end }}
{{- end }}
{{- toJson $errors }}
{{- end }}

{{- define "openaisle.labelErrors" -}}
{{- $errors := list }}
{{- range $label, $value := .labels }}
{{- $name := splitList "/" $label | last }}
{{- if or (not (regexMatch "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[^/]+$" $label)) (not (regexMatch "^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$" $name)) }}
{{- $errors = append $errors (printf "%s: a label cannot be called %s; write at most 63 letters, digits, dashes, dots and underscores, after a host name and a slash if need be." $.where $label) }}
{{- end }}
{{- if not (regexMatch "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$" $value) }}
{{- $errors = append $errors (printf "%s.%s: a label cannot hold %q; write at most 63 letters, digits, dashes, dots and underscores." $.where $label $value) }}
{{- end }}
{{- end }}
{{- toJson $errors }}
{{- end }}

{{- define "openaisle.resourceErrors" -}}
{{- $errors := list }}
{{- $limits := default dict .resources.limits }}
{{- $requests := default dict .resources.requests }}
{{- $wrong := list }}
{{- range $kind, $amounts := dict "limits" $limits "requests" $requests }}
{{- range $name, $amount := $amounts }}
{{- if not (regexMatch "^(cpu|memory|ephemeral-storage|hugepages-.+|.+/.+)$" $name) }}
{{- $errors = append $errors (printf "%s.%s.%s: there is no such resource; write cpu, memory, ephemeral-storage, or a name such as nvidia.com/gpu." $.where $kind $name) }}
{{- end }}
{{- if not (regexMatch "^[0-9]+(\\.[0-9]+)?(m|k|[MGTPE]|[KMGTPE]i|e[0-9]+)?$" (include "openaisle.amount" $amount)) }}
{{- $wrong = append $wrong $name }}
{{- $errors = append $errors (printf "%s.%s.%s: %v is not an amount; write one such as %s." $.where $kind $name $amount (get (dict "cpu" "2 or 500m" "memory" "4Gi") $name | default "1")) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $request := $requests }}
{{- $limit := get $limits $name }}
{{- if and $limit (not (has $name $wrong)) (gt (include "openaisle.quantity" $request | float64) (include "openaisle.quantity" $limit | float64)) }}
{{- $errors = append $errors (printf "%s: requests.%s is %s, more than limits.%s, which is %s; write limits.%s: %s." $.where $name (include "openaisle.amount" $request) $name (include "openaisle.amount" $limit) $name (include "openaisle.amount" $request)) }}
{{- end }}
{{- end }}
{{- toJson $errors }}
{{- end }}

{{- /* As it is written: Helm has numbers in binary, and shows large ones with an exponent. */ -}}
{{- define "openaisle.amount" -}}
{{ kindIs "string" . | ternary . (toJson .) }}
{{- end }}

{{- /* 0 for what isn't one. */ -}}
{{- define "openaisle.quantity" -}}
{{- $text := include "openaisle.amount" . }}
{{- $number := regexFind "^[0-9.]+(e[0-9]+)?" $text | float64 }}
{{- $unit := regexReplaceAll "^[0-9.]+(e[0-9]+)?" $text "" }}
{{- $factors := dict "" 1.0 "m" 1e-3 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 "Pi" 1125899906842624.0 "Ei" 1152921504606846976.0 }}
{{- mulf $number (default 0.0 (get $factors $unit)) }}
{{- end }}
