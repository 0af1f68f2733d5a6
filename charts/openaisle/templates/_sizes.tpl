{{- /*
How much memory a model takes.

openaisle.sizes: the published OPT models. Weights take `millions` of numbers; a token in the cache
takes 2 x layers x hidden numbers (a key and a value in each layer). GPUs share out whole attention heads.

openaisle.footprint: dict "parameters" .. "model" .. "dtype" .. "contextLength" .. -> JSON
{weightsGiB, cacheGiB, label, heads}, where cacheGiB is for one sequence of full length, and heads is there for
published sizes; {} for a model whose size neither `parameters` nor its id tells.
*/ -}}

{{- define "openaisle.sizes" -}}
- {label: tiny, millions: 10, layers: 8, hidden: 320, heads: 4}
- {label: 125m, millions: 125, layers: 12, hidden: 768, heads: 12}
- {label: 350m, millions: 331, layers: 24, hidden: 1024, heads: 16}
- {label: 1.3b, millions: 1316, layers: 24, hidden: 2048, heads: 32}
- {label: 2.7b, millions: 2652, layers: 32, hidden: 2560, heads: 32}
- {label: 6.7b, millions: 6658, layers: 32, hidden: 4096, heads: 32}
- {label: 13b, millions: 12853, layers: 40, hidden: 5120, heads: 40}
- {label: 30b, millions: 29975, layers: 48, hidden: 7168, heads: 56}
- {label: 66b, millions: 65725, layers: 64, hidden: 9216, heads: 72}
{{- end }}

{{- define "openaisle.footprint" -}}
{{- $label := lower .parameters }}
{{- if and (not $label) (eq .model "openaisle/tiny-opt") }}{{ $label = "tiny" }}{{ end }}
{{- if not $label }}
{{- $found := regexFind "[-_/][0-9]+(\\.[0-9]+)?[mb]([-_.]|$)" (lower .model) }}
{{- $label = regexFind "[0-9]+(\\.[0-9]+)?[mb]" $found }}
{{- end }}
{{- $result := dict }}
{{- if $label }}
{{- $millions := 0.0 }}
{{- if ne $label "tiny" }}
{{- $millions = trimAll "mb" $label | float64 }}
{{- if hasSuffix "b" $label }}{{ $millions = mulf $millions 1000.0 }}{{ end }}
{{- end }}
{{- /* A size that OPT wasn't published in is taken to have the cache of the next larger one. */}}
{{- $shape := dict }}
{{- range include "openaisle.sizes" . | fromYamlArray }}
{{- if eq .label $label }}{{ $shape = . }}{{ $millions = float64 .millions }}{{ end }}
{{- end }}
{{- range include "openaisle.sizes" . | fromYamlArray }}
{{- if and (not $shape) (ge (float64 .millions) $millions) }}{{ $shape = . }}{{ end }}
{{- end }}
{{- if not $shape }}{{ $shape = include "openaisle.sizes" . | fromYamlArray | last }}{{ end }}
{{- $bytes := ternary 4.0 2.0 (eq .dtype "float32") }}
{{- $gib := 1073741824.0 }}
{{- $context := float64 (default 2048 .contextLength) }}
{{- $_ := set $result "label" $label }}
{{- if eq $shape.label $label }}{{ $_ := set $result "heads" $shape.heads }}{{ end }}
{{- $_ := set $result "weightsGiB" (divf (mulf $millions 1e6 $bytes) $gib) }}
{{- $_ := set $result "cacheGiB" (divf (mulf 2.0 (float64 $shape.layers) (float64 $shape.hidden) $context $bytes) $gib) }}
{{- end }}
{{- toJson $result }}
{{- end }}
