{{- /*
Parts of NOTES.txt:

  openaisle.notes.model      what a model is served on, where its weights come from and how long that takes
  openaisle.notes.key        the line that reads a key
  openaisle.notes.address    the lines that find the address
  openaisle.notes.warnings   what the values make likely to go wrong
  openaisle.notes.upgrade    what an upgrade does, and how to go back
*/ -}}

{{- define "openaisle.notes.model" -}}
{{- $size := "weights of unknown size" }}
{{- with .footprint.weightsGiB }}{{ $size = lt . 0.1 | ternary "less than 0.1 GiB" (printf "%.1f GiB" .) }}{{ end }}
{{- /* At 100 MB/s; a GiB is 10.7 s. */}}
{{- $minutes := divf (mulf 10.7 (default 0.0 .footprint.weightsGiB)) 60.0 | ceil | int }}
{{- $wait := "ready in half a minute" }}
{{- if eq .weights.from "hub" }}
{{- $wait = printf "%s from %s" $size (default "huggingface.co" .weights.endpoint) }}
{{- if .footprint.weightsGiB }}{{ $wait = printf "%s, about %d min at 100 MB/s" $wait (add 1 $minutes) }}{{ end }}
{{- else if ne .weights.from "bundled" }}
{{- $wait = printf "%s from the %s %s" $size .weights.from (eq .weights.from "claim" | ternary .weights.claimName .weights.image) }}
{{- end }}
{{- .servedName }} on {{ join " or " .families }}{{ if .resourceName }} ({{ int .gpus }} x {{ .resourceName }}){{ end }}, {{ int .replicas }} {{ eq (int .replicas) 1 | ternary "replica" "replicas" }}: {{ $wait }}
{{- end }}

{{- define "openaisle.notes.key" -}}
{{- $secret := include "openaisle.keysSecret" . }}
{{- if .Values.auth.existingSecret -}}
KEY=$(kubectl -n {{ .Release.Namespace }} get secret {{ $secret }} -o go-template='{{ "{{range .data}}{{. | base64decode}}{{\"\\n\"}}{{end}}" }}' | head -1)
{{- else -}}
{{- $name := keys (default dict .Values.auth.keys) | sortAlpha | first | default "default" -}}
KEY=$(kubectl -n {{ .Release.Namespace }} get secret {{ $secret }} -o jsonpath='{.data.{{ $name | replace "." "\\." }}}' | base64 -d)
{{- end }}
{{- end }}

{{- define "openaisle.notes.address" -}}
{{- $name := include "openaisle.fullname" . }}
{{- $namespace := .Release.Namespace }}
{{- $prefix := .Values.ingress.pathPrefix }}
{{- $scheme := default false .Values.ingress.tls.enabled | ternary "https" "http" }}
{{- if and .Values.ingress.enabled .Values.ingress.host }}
  URL={{ $scheme }}://{{ .Values.ingress.host }}{{ $prefix }}
{{- else if .Values.ingress.enabled }}
  URL={{ $scheme }}://$(kubectl -n {{ $namespace }} get ingress {{ $name }} -o jsonpath='{.status.loadBalancer.ingress[0].ip}{.status.loadBalancer.ingress[0].hostname}'){{ $prefix }}
{{- else if and .Values.httpRoute.enabled .Values.httpRoute.hostnames }}
  URL=http://{{ first .Values.httpRoute.hostnames }}{{ $prefix }}
{{- else if .Values.httpRoute.enabled }}
{{- $gateway := first .Values.httpRoute.parentRefs }}
  URL=http://$(kubectl -n {{ default $namespace $gateway.namespace }} get gateway {{ $gateway.name }} -o jsonpath='{.status.addresses[0].value}'){{ $prefix }}
{{- end }}
{{- if or .Values.ingress.enabled .Values.httpRoute.enabled }}

   Or, from this machine alone:
{{ end }}
  kubectl -n {{ $namespace }} port-forward svc/{{ $name }}-{{ .Values.demo.enabled | ternary "demo" "adapter" }} 8080:80 &
  URL=http://127.0.0.1:8080
{{- end }}

{{- define "openaisle.notes.warnings" -}}
{{- $root := .context }}
{{- range .models }}
{{- if and (eq .weights.from "hub") (eq .weights.cache.type "emptyDir") }}

NOTE: {{ .name }} is downloaded again for each new pod{{ with .footprint }} ({{ printf "%d" (ceil .weightsGiB | int) }} GiB or more){{ end }}; write weights.cache.type: claim to keep it.
{{- end }}
{{- if .resourceName }}

NOTE: {{ .name }} needs a node with {{ int .gpus }} x {{ .resourceName }} of the family {{ join " or " .families }}. What the nodes have:

  kubectl get nodes -o custom-columns='NODE:.metadata.name,GPU:.metadata.labels.nvidia\.com/gpu\.product,COUNT:.status.allocatable.{{ .resourceName | replace "." "\\." }}'
{{- end }}
{{- end }}
{{- with $root.Values }}
{{- if and .auth.existingSecret .auth.keys }}

WARNING: auth.keys isn't used, because auth.existingSecret names {{ .auth.existingSecret }}.
{{- end }}
{{- $kept := lookup "v1" "Secret" $root.Release.Namespace (include "openaisle.keysSecret" $root) }}
{{- $keys := concat (keys (default dict .auth.keys)) (keys (default dict (get $kept "data"))) }}
{{- if or $kept .auth.keys }}
{{- range $name, $_ := .auth.limits.keys }}
{{- if not (has $name $keys) }}

WARNING: auth.limits.keys has limits for {{ $name }}, and the Secret {{ include "openaisle.keysSecret" $root }} has no such key (yet): it has {{ $keys | uniq | sortAlpha | join ", " }}.
{{- end }}
{{- end }}
{{- end }}
{{- if and .ingress.enabled (not .ingress.tls.enabled) }}

WARNING: keys and prompts cross the Ingress unencrypted; write ingress.tls.enabled: true.
{{- end }}
{{- if not .networkPolicy.enabled }}

WARNING: models have no keys of their own, and without networkPolicy.enabled every pod of the cluster reaches them.
{{- end }}
{{- if not (or .auth.existingSecret .auth.keys) }}

The key was generated at the first install. The Secret {{ include "openaisle.keysSecret" $root }} stays when the release is uninstalled, and the next install takes it up.
Tools that render without a cluster (helm template, Argo CD) make a new one each time: give them auth.existingSecret.
{{- end }}
{{- end }}
{{- end }}

{{- define "openaisle.notes.upgrade" }}

This was an upgrade. Models whose pods changed take their turns one pod at a time; requests wait or go to the others meanwhile. To go back:

  helm rollback {{ .Release.Name }} -n {{ .Release.Namespace }}

At the next one, --reset-then-reuse-values keeps your values and takes up new ones of the chart; --reuse-values doesn't.
{{- end }}
