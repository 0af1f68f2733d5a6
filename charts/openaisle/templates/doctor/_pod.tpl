{{- /*
openaisle.examinerPod: the spec of a pod that looks at the release from within, for the Job and `helm test`; it
has the gateway's image, the clients' keys and the doctor's account.
dict "context" $ "name" "doctor" "command" (list ..) "env" (list ..)
*/ -}}
{{- define "openaisle.examinerPod" -}}
{{- $root := .context }}
{{- $name := include "openaisle.fullname" $root }}
restartPolicy: Never
{{- if $root.Values.doctor.enabled }}
serviceAccountName: {{ $name }}-doctor
{{- end }}
automountServiceAccountToken: {{ $root.Values.doctor.enabled }}
enableServiceLinks: false
securityContext: {{- include "openaisle.podSecurity" $root | nindent 2 }}
{{- include "openaisle.podSettings" (dict "context" $root "settings" $root.Values.adapter) }}
containers:
  - name: {{ .name }}
    image: {{ default (include "openaisle.image" (dict "context" $root "name" "adapter")) $root.Values.adapter.image | quote }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    terminationMessagePolicy: FallbackToLogsOnError
    command: {{- toYaml .command | nindent 6 }}
    env: {{- toYaml .env | nindent 6 }}
    resources: {{- toYaml $root.Values.doctor.resources | nindent 6 }}
    securityContext: {{- include "openaisle.containerSecurity" $root | nindent 6 }}
    volumeMounts:
      - {name: keys, mountPath: /etc/openaisle/keys, readOnly: true}
      - {name: tmp, mountPath: /tmp}
volumes:
  # Optional, so that a missing Secret is a line of the report and not a pod that never starts.
  - {name: keys, secret: {secretName: {{ include "openaisle.keysSecret" $root | quote }}, defaultMode: 0440, optional: true}}
  - {name: tmp, emptyDir: {}}
{{- end }}
