{{- /* Names, labels, and what a name begins with. */ -}}

{{- /* The name of an object: the release's, a dash and a part. Takes [root, part]. */ -}}
{{- define "eventgraph.name" -}}
{{- $name := printf "%s-%s" (index . 0).Release.Name (index . 1 | replace "_" "-") -}}
{{- if gt (len $name) 52 -}}
{{- fail (printf "%s: a name has up to 52 characters, this one has %d: choose a shorter name for the release" $name (len $name)) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- /* What a setting's name begins with, in the environment. */ -}}
{{- define "eventgraph.prefix" -}}
{{- .Values.system.name | upper }}_
{{- end -}}

{{- /* The variable of a setting: OpenTelemetry's own, as OTEL_EXPORTER_OTLP_ENDPOINT, are no system's. Takes [root, setting]. */ -}}
{{- define "eventgraph.variable" -}}
{{- if not (hasPrefix "OTEL_" (index . 1)) }}{{ include "eventgraph.prefix" (index . 0) }}{{ end }}{{ index . 1 }}
{{- end -}}

{{- /* The labels that select Pods. Takes [root, component, subgraph]; the subgraph may be empty. */ -}}
{{- define "eventgraph.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Values.system.name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- with index . 2 }}
subgraph: {{ . }}
{{- end }}
{{- end -}}

{{- /* All labels of an object. Takes the same. */ -}}
{{- define "eventgraph.labels" -}}
{{ include "eventgraph.selector" . }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
{{- end -}}

{{- define "eventgraph.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest }}{{ $image.repository }}@{{ $image.digest }}{{ else }}{{ $image.repository }}:{{ $image.tag }}{{ end -}}
{{- end -}}

{{- /* Whether a subgraph's view is on Neo4j: "true" or "". */ -}}
{{- define "eventgraph.usesNeo4j" -}}
{{- range .Values.system.subgraphs }}{{ if eq .view "neo4j" }}true{{ break }}{{ end }}{{ end -}}
{{- end -}}

{{- /* Whether a subgraph owns a log or has its view on MongoDB: "true" or "". */ -}}
{{- define "eventgraph.usesMongodb" -}}
{{- range .Values.system.subgraphs }}{{ if or .log (eq .view "mongodb") }}true{{ break }}{{ end }}{{ end -}}
{{- end -}}

{{- /* What one process of the system needs. Takes [root, component, subgraph]; gives a YAML map. */ -}}
{{- define "eventgraph.needs" -}}
{{- $root := index . 0 -}}
{{- if eq (index . 1) "router" }}
kafka: false
mongodb: false
neo4j: false
{{- else if eq (index . 1) "console" }}
kafka: true
mongodb: {{ include "eventgraph.usesMongodb" $root | default "false" }}
neo4j: {{ include "eventgraph.usesNeo4j" $root | default "false" }}
{{- else }}
{{- $subgraph := index $root.Values.system.subgraphs (index . 2) }}
kafka: true
mongodb: {{ or $subgraph.log (eq $subgraph.view "mongodb") }}
neo4j: {{ eq $subgraph.view "neo4j" }}
{{- end }}
{{- end -}}
