{{- /* The settings of processes, which never have a secret. */ -}}

{{- /* Of every process. */ -}}
{{- define "eventgraph.settings" -}}
{{- $prefix := include "eventgraph.prefix" . -}}
{{ $prefix }}HOST: "0.0.0.0"
{{ $prefix }}PORT: "9000"
{{ $prefix }}METRICS_HOST: "0.0.0.0"
{{ $prefix }}METRICS_PORT: {{ .Values.metrics.port | quote }}
{{ $prefix }}DRAIN_SECONDS: {{ .Values.drainSeconds | quote }}
{{ $prefix }}ALLOW_ANONYMOUS: {{ .Values.allowAnonymous | quote }}
{{- range $name, $value := .Values.settings }}
{{ include "eventgraph.variable" (list $ $name) }}: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- /* Of the processes that reach engines: where those are. */ -}}
{{- define "eventgraph.engines" -}}
{{- $prefix := include "eventgraph.prefix" . -}}
{{- with .Values.kafka -}}
{{ $prefix }}NAME: {{ $.Values.system.installation | quote }}
{{ $prefix }}KAFKA_PARTITIONS: {{ .partitions | quote }}
{{- if .inCluster }}
{{ $prefix }}KAFKA_BOOTSTRAP: {{ include "eventgraph.name" (list $ "kafka") }}:9092
{{ $prefix }}KAFKA_SECURITY: SASL_PLAINTEXT
{{ $prefix }}KAFKA_SASL_MECHANISM: PLAIN
{{ $prefix }}KAFKA_USER: eventgraph
{{ $prefix }}KAFKA_REPLICAS: {{ .nodes | quote }}
{{ $prefix }}KAFKA_IN_SYNC_REPLICAS: {{ ternary "2" "1" (eq (int .nodes) 3) | quote }}
{{- else }}
{{ $prefix }}KAFKA_BOOTSTRAP: {{ .bootstrap | quote }}
{{ $prefix }}KAFKA_SECURITY: {{ .security }}
{{- if hasPrefix "SASL" .security }}
{{ $prefix }}KAFKA_SASL_MECHANISM: {{ .saslMechanism }}
{{- end }}
{{ $prefix }}KAFKA_REPLICAS: {{ .replicas | quote }}
{{ $prefix }}KAFKA_IN_SYNC_REPLICAS: {{ .inSyncReplicas | quote }}
{{- end }}
{{- end }}
{{- with .Values.mongodb }}
{{- if .inCluster }}
{{ $prefix }}MONGODB_URL: {{ include "eventgraph.mongodbUrl" $ | quote }}
{{ $prefix }}MONGODB_USER: eventgraph
{{- else }}
{{ $prefix }}MONGODB_URL: {{ .url | quote }}
{{- end }}
{{- end }}
{{- with .Values.neo4j }}
{{- if eq (include "eventgraph.usesNeo4j" $) "true" }}
{{ $prefix }}NEO4J_URL: {{ ternary (printf "bolt://%s:7687" (include "eventgraph.name" (list $ "neo4j"))) .url .inCluster | quote }}
{{ $prefix }}NEO4J_USER: {{ ternary "neo4j" .user .inCluster | quote }}
{{ $prefix }}NEO4J_DATABASE: {{ .database | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- /* Of the router: where the subgraphs are, and whose tokens say who asks. */ -}}
{{- define "eventgraph.routing" -}}
{{- $prefix := include "eventgraph.prefix" . -}}
{{- range $name, $_ := .Values.system.subgraphs }}
{{ $prefix }}{{ upper $name }}_URL: http://{{ include "eventgraph.name" (list $ (printf "subgraph-%s" $name)) }}:9000/graphql
{{- end }}
{{- if .Values.router.ingress.host }}
{{ $prefix }}ALLOW_HOSTS: {{ .Values.router.ingress.host | quote }}
{{- end }}
{{- if .Values.router.config }}
{{ $prefix }}ROUTER_CONFIG: /etc/eventgraph/router.yaml
{{- end }}
{{- include "eventgraph.authentication" . }}
{{- end -}}

{{- define "eventgraph.authentication" -}}
{{- with .Values.authentication }}
{{ include "eventgraph.prefix" $ }}AUTHENTICATION: {{ toJson . | quote }}
{{- end }}
{{- end -}}

{{- define "eventgraph.mongodbUrl" -}}
{{- $hosts := list -}}
{{- range $number := until (int .Values.mongodb.nodes) -}}
{{- $hosts = append $hosts (include "eventgraph.mongodbHost" (list $ $number)) -}}
{{- end -}}
mongodb://{{ join "," $hosts }}/?replicaSet=eventgraph&authSource=admin
{{- end -}}

{{- /* The address of a member. Takes [root, number]. */ -}}
{{- define "eventgraph.mongodbHost" -}}
{{- $name := include "eventgraph.name" (list (index . 0) "mongodb") -}}
{{ $name }}-{{ index . 1 }}.{{ $name }}:27017
{{- end -}}

{{- /* The secrets of a process: names of the Secret's keys. Takes [root, component, needs]; gives a YAML list. */ -}}
{{- define "eventgraph.secrets" -}}
{{- $root := index . 0 -}}
{{- $needs := index . 2 -}}
{{- if ne (index . 1) "console" }}
- actor-keys
{{- end }}
{{- if $needs.kafka }}
- claims-keys
{{- with $root.Values.kafka }}
{{- if .inCluster }}
- kafka-password
{{- else if hasPrefix "SASL" .security }}
- kafka-user
- kafka-password
{{- end }}
{{- end }}
{{- end }}
{{- if $needs.mongodb }}
{{- if not $root.Values.mongodb.inCluster }}
- mongodb-user
{{- end }}
- mongodb-password
{{- end }}
{{- if $needs.neo4j }}
- neo4j-password
{{- end }}
{{- end -}}
