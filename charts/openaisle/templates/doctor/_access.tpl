{{- /*
Whose account reads for `openaisle doctor`: that of the gateway, in whose pod people run it, and one for the
Job and `helm test`.

  openaisle.doctorSubjects   subjects of a binding
*/ -}}
{{- define "openaisle.doctorSubjects" -}}
{{- range list "adapter" "doctor" }}
- kind: ServiceAccount
  name: {{ include "openaisle.fullname" $ }}-{{ . }}
  namespace: {{ $.Release.Namespace | quote }}
{{- end }}
{{- end }}
