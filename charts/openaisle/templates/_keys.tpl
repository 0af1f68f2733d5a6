{{- /*
Keys of the values that cannot be as they are written:

  openaisle.nullErrors   a JSON array of those that are null
  openaisle.hintErrors   a JSON array of those that are meant for others
  openaisle.kind         kind of a value: string, bool, slice, map or number
*/ -}}

{{- /*
A JSON array of the keys that are null: Helm takes the default of such a key away. An upgrade with --reuse-values has no
default for what is new, which looks the same.
*/ -}}
{{- define "openaisle.nullErrors" -}}
{{- $errors := list }}
{{- $nulls := list }}
{{- $missing := "" }}
{{- range $path := .Files.Get "files/required.yaml" | fromYamlArray }}
{{- if not (and $missing (hasPrefix $missing $path)) }}
{{- $node := $.Values }}
{{- $there := true }}
{{- range $key := splitList "." $path }}
{{- if $there }}
{{- $there = and (kindIs "map" $node) (hasKey $node $key) }}
{{- if $there }}{{ $node = get $node $key }}{{ end }}
{{- end }}
{{- end }}
{{- if or (not $there) (kindIs "invalid" $node) }}
{{- $missing = printf "%s." $path }}
{{- $nulls = append $nulls $path }}
{{- $errors = append $errors (printf "%s: it is null (there is nothing behind it), which takes the chart's defaults away; remove the line." $path) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $nulls .Release.IsUpgrade }}
{{- $errors = list (printf "%s: missing. With --reuse-values an upgrade has only those values that the chart before it had; write --reset-then-reuse-values instead. A key with nothing behind it in your own values takes the default away, too; remove such a line." (join ", " $nulls)) }}
{{- end }}
{{- toJson $errors }}
{{- end }}

{{- /*
A JSON array with a sentence for each key that is meant for another one, and what to write, ready to paste where
the given value fits there.
dict "hints" {wrong: right} "values" .. "defaults" {right: ..} "prefix" "image." "where" the entry of a list, or none
*/ -}}
{{- define "openaisle.hintErrors" -}}
{{- $errors := list }}
{{- range $key, $value := .values }}
{{- $right := get $.hints $key }}
{{- if $right }}
{{- $paths := list }}
{{- range kindIs "string" $right | ternary (list $right) $right }}{{ $paths = append $paths (printf "%s%s" $.prefix .) }}{{ end }}
{{- $what := printf "%s%s: there is no such key" $.prefix $key }}
{{- if $.where }}{{ $what = printf "%s: there is no key %s%s" $.where $.prefix $key }}{{ end }}
{{- $paste := "" }}
{{- $default := $.defaults }}
{{- range kindIs "string" $right | ternary (splitList "." (toString $right)) list }}{{ $default = kindIs "map" $default | ternary (get $default .) "" }}{{ end }}
{{- if and (kindIs "string" $right) (eq (include "openaisle.kind" $value) (include "openaisle.kind" $default)) }}
{{- $nested := $value }}
{{- range reverse (splitList "." (first $paths)) }}{{ $nested = dict . $nested }}{{ end }}
{{- $paste = printf "\n%s\n" (toYaml $nested | nindent 4) }}
{{- end }}
{{- $errors = append $errors (printf "%s; write %s.%s" $what (join " or " $paths) $paste) }}
{{- end }}
{{- end }}
{{- toJson $errors }}
{{- end }}

{{- define "openaisle.kind" -}}
{{ regexMatch "^(int|float)" (kindOf .) | ternary "number" (kindOf .) }}
{{- end }}
