{{- /*
What Kubernetes cannot change in place, and refuses in words that don't help. Without a cluster, as under
`helm template`, `lookup` finds nothing, and nothing is refused.

  openaisle.rolloutErrors    a JSON array of what is wrong with a model's workload: dict "context" $ "where" .. "model" .
  openaisle.selectorErrors   the same of the labels by which all workloads find their pods
*/ -}}

{{- define "openaisle.rolloutErrors" -}}
{{- $errors := list }}
{{- $claim := and (eq .model.weights.from "hub") (eq .model.weights.cache.type "claim") }}
{{- if and $claim (eq .model.rollout "surge") }}
{{- $errors = append $errors (printf "%s: rollout is surge, and weights.cache.type is claim, a volume for each replica, which a successor cannot share; write rollout: swap, or weights.cache.type: shared." .where) }}
{{- end }}
{{- $namespace := .context.Release.Namespace }}
{{- $existing := lookup "apps/v1" "StatefulSet" $namespace .model.objectName }}
{{- if and $existing (eq .model.rollout "swap") }}
{{- $had := "no volume" }}
{{- range $existing.spec.volumeClaimTemplates }}
{{- $had = printf "%s of %s" .spec.resources.requests.storage (default "the default class" .spec.storageClassName) }}
{{- end }}
{{- $wanted := "no volume" }}
{{- if $claim }}
{{- $wanted = printf "%s of %s" (include "openaisle.cacheSize" .model) (default "the default class" .model.weights.cache.storageClassName) }}
{{- end }}
{{- if ne $had $wanted }}
{{- $errors = append $errors (printf "%s: its volume cannot be changed in place (from %s to %s); delete the StatefulSet first, which leaves its pods running: kubectl delete statefulset %s -n %s --cascade=orphan" .where $had $wanted .model.objectName $namespace) }}
{{- end }}
{{- end }}
{{- toJson $errors }}
{{- end }}

{{- define "openaisle.selectorErrors" -}}
{{- $errors := list }}
{{- $name := printf "%s-adapter" (include "openaisle.fullname" .) }}
{{- $existing := lookup "apps/v1" "Deployment" .Release.Namespace $name }}
{{- $had := dig "spec" "selector" "matchLabels" "app.kubernetes.io/name" "" (default dict $existing) }}
{{- $wanted := include "openaisle.name" . }}
{{- if and $had (ne $had $wanted) }}
{{- $errors = append $errors (printf "nameOverride: the release's pods are called %s, and what selects them cannot be changed in place to %s; write nameOverride: %s, or install a second release and remove this one." $had $wanted $had) }}
{{- end }}
{{- toJson $errors }}
{{- end }}
