{{- /*
  openaisle.paths                  what the Ingress and the HTTPRoute lead where. The gateway and the page know the prefix
                                   themselves, so that no controller needs to rewrite a path
  openaisle.ingressPreset.*        annotations for one controller: no buffering of streams, an hour for an
                                   answer, and bodies large enough that the gateway's own 413 is seen
*/ -}}

{{- define "openaisle.paths" -}}
{{- $adapter := printf "%s-adapter" (include "openaisle.fullname" .) }}
{{- $prefix := .Values.ingress.pathPrefix }}
{{- range list "/v1" "/docs" "/openapi.json" "/tokenize" "/detokenize" "/tokenizer_info" }}
- {path: {{ $prefix }}{{ . }}, service: {{ $adapter }}}
{{- end }}
- {path: {{ default "/" $prefix }}, service: {{ .Values.demo.enabled | ternary (printf "%s-demo" (include "openaisle.fullname" .)) $adapter }}}
{{- end }}

{{- define "openaisle.ingressPreset.ingress-nginx" -}}
nginx.ingress.kubernetes.io/proxy-buffering: "off"
nginx.ingress.kubernetes.io/proxy-request-buffering: "off"
nginx.ingress.kubernetes.io/proxy-http-version: "1.1"
nginx.ingress.kubernetes.io/proxy-read-timeout: "3600"
nginx.ingress.kubernetes.io/proxy-send-timeout: "3600"
nginx.ingress.kubernetes.io/proxy-body-size: {{ add .Values.adapter.maxBodyBytes 1048576 | quote }}
{{- end }}

{{- define "openaisle.ingressPreset.f5" -}}
nginx.org/proxy-buffering: "False"
nginx.org/proxy-read-timeout: "3600s"
nginx.org/proxy-send-timeout: "3600s"
nginx.org/client-max-body-size: {{ add .Values.adapter.maxBodyBytes 1048576 | quote }}
{{- end }}

{{- /* Traefik buffers nothing and limits no body by itself. */ -}}
{{- define "openaisle.ingressPreset.traefik" -}}
{{- end }}

{{- define "openaisle.ingressPreset.none" -}}
{{- end }}
