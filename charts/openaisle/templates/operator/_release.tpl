{{- /* Two operators in a namespace would each delete what the other makes for an OPTModel. */ -}}
{{- define "openaisle.checkOperator" -}}
{{- range dig "items" list (lookup "apps/v1" "Deployment" .Release.Namespace "") }}
{{- $labels := default dict .metadata.labels }}
{{- $other := get $labels "app.kubernetes.io/instance" }}
{{- if and (eq (get $labels "app.kubernetes.io/part-of") "openaisle") (eq (get $labels "app.kubernetes.io/component") "operator") (ne $other $.Release.Name) }}
{{- include "openaisle.refuse" (list (printf "operator.enabled: the release %s in this namespace has an operator already; one namespace has one." $other)) }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
openaisle.operatorRelease: what the operator has to know of the release, as a YAML document

  chartVersion  version of the chart, which must be that of the chart in the operator's image
  models        the models in the values, whose names OPTModels cannot take
  values        the values on which a model's objects depend; clients' keys aren't among them
*/ -}}

{{- define "openaisle.operatorRelease" -}}
{{- $models := list }}
{{- range include "openaisle.models" . | fromJsonArray }}
{{- $models = append $models (dict "name" .name "servedName" .servedName) }}
{{- end }}
{{- $values := pick .Values "nameOverride" "fullnameOverride" "commonLabels" "image" "modelDefaults" "gpuFamilies" "networkPolicy" "podDisruptionBudget" }}
{{- /* As a dependency with an alias the chart is called as that, and the operator's copy isn't. */}}
{{- $_ := set $values "nameOverride" (include "openaisle.name" .) }}
{{- dict "chartVersion" .Chart.Version "models" $models "values" $values | toYaml }}
{{- end }}
