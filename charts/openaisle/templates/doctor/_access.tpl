{{- /*
Whose account reads for `openaisle doctor`: that of the gateway, in whose pod people run it, and one for the
Job and `helm test`.

  openaisle.doctorSubjects   subjects of a binding
  openaisle.doctorEnv        variables that tell it what to look at, as a JSON array: a release may have the chart twice
*/ -}}
{{- define "openaisle.doctorEnv" -}}
{{- list (dict "name" "OPENAISLE_RELEASE" "value" .Release.Name) (dict "name" "OPENAISLE_CHART" "value" (include "openaisle.name" .)) | toJson }}
{{- end }}

{{- define "openaisle.doctorSubjects" -}}
{{- range list "adapter" "doctor" }}
- kind: ServiceAccount
  name: {{ include "openaisle.fullname" $ }}-{{ . }}
  namespace: {{ $.Release.Namespace | quote }}
{{- end }}
{{- end }}
