{{- /* What the engines' StatefulSets have in common. */ -}}

{{- /* The Pod's beginning. Takes [root, labels, user id, seconds to end in]. */ -}}
{{- define "eventgraph.enginePod" -}}
serviceAccountName: {{ (index . 0).Release.Name }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ index . 3 }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ index . 2 }}
  runAsGroup: {{ index . 2 }}
  fsGroup: {{ index . 2 }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{ include "eventgraph.spread" (list (index . 0) (index . 1) true) }}
{{- end -}}

{{- /* Volumes for secrets, the configuration and what is temporary. Takes [root, configuration, keys of the Secret]. */ -}}
{{- define "eventgraph.engineVolumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
- name: config
  configMap: {name: {{ index . 1 }}}
- name: secrets
  secret:
    secretName: {{ (index . 0).Values.secret.name }}
    defaultMode: 0440
    items:
      {{- range index . 2 }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end -}}

{{- define "eventgraph.engineMounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: config, mountPath: /etc/eventgraph, readOnly: true}
- {name: secrets, mountPath: /run/secrets, readOnly: true}
{{- end -}}

{{- /* Ready when the port is open: that is when the engine has caught up with what it has stored. After an unclean end that
takes as long as it takes: an engine that is killed meanwhile begins again. */ -}}
{{- define "eventgraph.engineProbes" -}}
startupProbe:
  tcpSocket: {port: {{ . }}}
  periodSeconds: 5
  failureThreshold: 4320
livenessProbe:
  tcpSocket: {port: {{ . }}}
  periodSeconds: 10
  failureThreshold: 6
readinessProbe:
  tcpSocket: {port: {{ . }}}
  periodSeconds: 5
{{- end -}}

{{- /* Takes [name, labels, what values.yaml says of its storage]. */ -}}
{{- define "eventgraph.claims" -}}
persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Retain}
volumeClaimTemplates:
  - metadata:
      name: data
      labels: {{- include "eventgraph.selector" (index . 1) | nindent 8 }}
    spec:
      accessModes: [ReadWriteOnce]
      {{- with (index . 2).className }}
      storageClassName: {{ . }}
      {{- end }}
      resources:
        requests: {storage: {{ (index . 2).size }}}
{{- end -}}
