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
{{- dict "chartVersion" .Chart.Version "models" $models "values" $values | toYaml }}
{{- end }}
