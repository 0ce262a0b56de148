{{- /* Network policies: what reaches a process, and what it reaches. */ -}}

{{- /* The Pods of a component, as a peer. Takes [root, component]. */ -}}
{{- define "eventgraph.peer" -}}
podSelector:
  matchLabels: {{- include "eventgraph.selector" (list (index . 0) (index . 1) "") | nindent 4 }}
{{- end -}}

{{- /* Names are asked for wherever the cluster's DNS is: on a node, in another namespace, at another port inside. */ -}}
{{- define "eventgraph.dns" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end -}}

{{- /* A port of an address, as a list of ports. Takes [text with addresses, usual port]. */ -}}
{{- define "eventgraph.ports" -}}
{{- $found := regexFindAll ":[0-9]{2,5}\\b" (index . 0) -1 | uniq -}}
{{- range $found | default (list (printf ":%s" (index . 1))) }}
- {protocol: TCP, port: {{ trimPrefix ":" . }}}
{{- end }}
{{- end -}}

{{- /* Takes [name, labels, needs, ingress rules]. */ -}}
{{- define "eventgraph.processPolicy" -}}
{{- $root := index . 1 | first -}}
{{- $component := index . 1 1 -}}
{{- $needs := index . 2 }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ index . 0 }}
  labels: {{- include "eventgraph.labels" (index . 1) | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "eventgraph.selector" (index . 1) | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- with index . 3 }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with $root.Values.networkPolicies.metricsFrom }}
    - from: {{- toYaml . | nindent 8 }}
      ports:
        - {protocol: TCP, port: {{ ternary "http" "metrics" (eq $component "console") }}}
    {{- end }}
  egress:
    {{- include "eventgraph.dns" $root | nindent 4 }}
    {{- if eq $component "router" }}
    - to:
        - {{ include "eventgraph.peer" (list $root "subgraph") | indent 10 | trim }}
      ports:
        - {protocol: TCP, port: 9000}
    {{- end }}
    {{- if has $component (list "router" "console") }}
    {{- range dig "issuers" list ($root.Values.authentication | default dict) }}
    {{- if hasPrefix "https://" (toString .keys) }}
    - ports: {{- include "eventgraph.ports" (list (urlParse .keys).host "443") | nindent 8 }}
    {{- end }}
    {{- end }}
    {{- end }}
    {{- range $engine, $port := dict "kafka" "9092" "mongodb" "27017" "neo4j" "7687" }}
    {{- if index $needs $engine }}
    {{- $values := index $root.Values $engine }}
    {{- if $values.inCluster }}
    - to:
        - {{ include "eventgraph.peer" (list $root $engine) | indent 10 | trim }}
      ports:
        - {protocol: TCP, port: {{ $port }}}
    {{- else }}
    - ports: {{- include "eventgraph.ports" (list (get $values "bootstrap" | default (get $values "url")) $port) | nindent 8 }}
    {{- end }}
    {{- end }}
    {{- end }}
    {{- with $root.Values.networkPolicies.egress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- /* Of an engine: who reaches it are the system's processes that need it, and its own nodes.
Takes [name, labels, port for the system's processes, ports for its own nodes]. */ -}}
{{- define "eventgraph.enginePolicy" -}}
{{- $root := index . 1 | first -}}
{{- $engine := index . 1 1 }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ index . 0 }}
  labels: {{- include "eventgraph.labels" (index . 1) | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "eventgraph.selector" (index . 1) | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        {{- range list "subgraph" "projector" "console" }}
        - {{ include "eventgraph.peer" (list $root .) | indent 10 | trim }}
        {{- end }}
      ports:
        - {protocol: TCP, port: {{ index . 2 }}}
    {{- with index . 3 }}
    - from:
        {{- range list $engine (printf "%s-setup" $engine) }}
        - {{ include "eventgraph.peer" (list $root .) | indent 10 | trim }}
        {{- end }}
      ports:
        {{- range . }}
        - {protocol: TCP, port: {{ . }}}
        {{- end }}
    {{- end }}
  egress:
    {{- include "eventgraph.dns" $root | nindent 4 }}
    {{- with index . 3 }}
    - to:
        - {{ include "eventgraph.peer" (list $root $engine) | indent 10 | trim }}
      ports:
        {{- range . }}
        - {protocol: TCP, port: {{ . }}}
        {{- end }}
    {{- end }}
{{- end -}}
