{{- /* A process of the system: its Deployment, its disruption budget, its autoscaler, its network policy.

Takes a map: root; component (router, subgraph, projector, console); subgraph ("" without one); args; values (what
values.yaml says of it); ingress (rules of its network policy, as YAML). */ -}}

{{- /* The name of a process's objects. Takes the same map. */ -}}
{{- define "eventgraph.processName" -}}
{{- include "eventgraph.name" (list .root (ternary (printf "%s-%s" .component .subgraph) .component (ne .subgraph ""))) -}}
{{- end -}}

{{- define "eventgraph.process" -}}
{{- $root := .root -}}
{{- $values := .values -}}
{{- $prefix := include "eventgraph.prefix" $root -}}
{{- $name := include "eventgraph.processName" . -}}
{{- $labels := list $root .component .subgraph -}}
{{- $needs := include "eventgraph.needs" $labels | fromYaml -}}
{{- $scales := dig "autoscaling" "enabled" false $values -}}
{{- $several := gt (int (ternary (dig "autoscaling" "minReplicas" 1 $values) (dig "replicas" 1 $values) $scales)) 1 }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  labels: {{- include "eventgraph.labels" $labels | nindent 4 }}
spec:
  {{- if not $scales }}
  replicas: {{ $values.replicas | default 1 }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels: {{- include "eventgraph.selector" $labels | nindent 6 }}
  template:
    metadata:
      labels: {{- include "eventgraph.selector" $labels | nindent 8 }}
      annotations:
        checksum/settings: {{ include "eventgraph.settings" $root | sha256sum }}
        {{- if $needs.kafka }}
        checksum/engines: {{ include "eventgraph.engines" $root | sha256sum }}
        {{- end }}
        {{- if eq .component "router" }}
        checksum/routing: {{ printf "%s%s" (include "eventgraph.routing" $root) (toYaml $root.Values.router.config) | sha256sum }}
        {{- end }}
        {{- with $root.Values.secret.revision }}
        secret/revision: {{ . | quote }}
        {{- end }}
        {{- if and $root.Values.metrics.annotations (ne .component "console") }}
        prometheus.io/scrape: "true"
        prometheus.io/port: {{ $root.Values.metrics.port | quote }}
        prometheus.io/path: /metrics
        {{- end }}
    spec:
      serviceAccountName: {{ $root.Release.Name }}
      automountServiceAccountToken: false
      # A Service named like the system would otherwise give the processes settings, such as KITH_PORT=tcp://….
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ add (int $root.Values.drainSeconds) 20 }}
      {{- with $root.Values.image.pullSecrets }}
      imagePullSecrets: {{- range . }}
        - name: {{ . }}
      {{- end }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 10001
        runAsGroup: 10001
        fsGroup: 10001
        seccompProfile: {type: RuntimeDefault}
      {{- include "eventgraph.spread" (list $root $labels false) | nindent 6 }}
      containers:
        - name: {{ .component }}
          image: {{ include "eventgraph.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          command: [{{ $root.Values.system.name }}]
          args: {{ toJson .args }}
          envFrom:
            - configMapRef: {name: {{ include "eventgraph.name" (list $root "settings") }}}
            {{- if $needs.kafka }}
            - configMapRef: {name: {{ include "eventgraph.name" (list $root "engines") }}}
            {{- end }}
            {{- if eq .component "router" }}
            - configMapRef: {name: {{ include "eventgraph.name" (list $root "routing") }}}
            {{- end }}
          env:
            {{- if and (eq .component "subgraph") $root.Values.projectors.enabled }}
            - {name: {{ $prefix }}PROJECT, value: "false"}
            {{- end }}
            {{- if eq .component "console" }}
            - {name: {{ $prefix }}CONSOLE, value: {{ $root.Values.console.mode | quote }}}
            {{- if $root.Values.router.ingress.host }}
            - name: {{ $prefix }}ROUTER_URL
              value: {{ ternary "https" "http" (ne $root.Values.router.ingress.tlsSecret "") }}://{{ $root.Values.router.ingress.host }}/
            {{- end }}
            {{- with $root.Values.authentication }}
            - {name: {{ $prefix }}AUTHENTICATION, value: {{ toJson . | quote }}}
            {{- end }}
            {{- end }}
            {{- range $key, $value := $values.settings }}
            - {name: {{ include "eventgraph.variable" (list $root $key) }}, value: {{ $value | quote }}}
            {{- end }}
            - {name: TMPDIR, value: /tmp}
          ports:
            - {name: http, containerPort: 9000}
            {{- if ne .component "console" }}
            - {name: metrics, containerPort: {{ $root.Values.metrics.port }}}
            {{- end }}
          # A subgraph answers once its engines do and its ledger is filled: hours, where the ledger was lost and the log is
          # long. Where engines stay away, the process ends by itself.
          startupProbe:
            httpGet: {path: /health/live, port: http}
            periodSeconds: 5
            timeoutSeconds: 5
            failureThreshold: 4320
          livenessProbe:
            httpGet: {path: /health/live, port: http}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          # A subgraph that is not ready costs its own fields. The router's /health/ready asks all of them: by that one, it
          # would cost the whole API.
          readinessProbe:
            httpGet: {path: {{ ternary "/health/ready" "/health/live" (has .component (list "subgraph" "projector")) }}, port: http}
            periodSeconds: 5
            timeoutSeconds: 4
            failureThreshold: 3
          resources: {{- toYaml $values.resources | nindent 12 }}
          securityContext: {{- include "eventgraph.containerSecurity" . | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            - {name: secrets, mountPath: /run/secrets, readOnly: true}
            {{- if and (eq .component "router") $root.Values.router.config }}
            - {name: config, mountPath: /etc/eventgraph, readOnly: true}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {medium: Memory, sizeLimit: 64Mi}
        - name: secrets
          secret:
            secretName: {{ $root.Values.secret.name }}
            defaultMode: 0440
            items:
              {{- range include "eventgraph.secrets" (list $root .component $needs) | fromYamlArray }}
              - {key: {{ . }}, path: {{ lower $prefix }}{{ . | replace "-" "_" }}}
              {{- end }}
        {{- if and (eq .component "router") $root.Values.router.config }}
        - name: config
          configMap: {name: {{ include "eventgraph.name" (list $root "router-config") }}}
        {{- end }}
{{- if and $several $root.Values.disruptionBudgets }}
{{- include "eventgraph.disruptionBudget" (list $name $labels) }}
{{- end }}
{{- if $scales }}
{{- include "eventgraph.autoscaler" (list $name $labels $values.autoscaling) }}
{{- end }}
{{- if $root.Values.networkPolicies.enabled }}
{{- include "eventgraph.processPolicy" (list $name $labels $needs .ingress) }}
{{- end }}
{{- end -}}

{{- define "eventgraph.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* How Pods of a kind are spread. Takes [root, labels, whether it is an engine]. */ -}}
{{- define "eventgraph.spread" -}}
{{- $wanted := (index . 0).Values.antiAffinity -}}
{{- if ne $wanted "none" -}}
affinity:
  podAntiAffinity:
    {{- if and (index . 2) (eq $wanted "required") }}
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{- include "eventgraph.selector" (index . 1) | nindent 12 }}
    {{- end }}
    preferredDuringSchedulingIgnoredDuringExecution:
      {{- range $key, $weight := dict "kubernetes.io/hostname" 100 "topology.kubernetes.io/zone" 50 }}
      - weight: {{ $weight }}
        podAffinityTerm:
          topologyKey: {{ $key }}
          labelSelector:
            matchLabels: {{- include "eventgraph.selector" (index $ 1) | nindent 14 }}
      {{- end }}
{{- end -}}
{{- end -}}

{{- /* Takes [name, labels]. */ -}}
{{- define "eventgraph.disruptionBudget" }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ index . 0 }}
  labels: {{- include "eventgraph.labels" (index . 1) | nindent 4 }}
spec:
  maxUnavailable: 1
  # One that is not ready does not keep a node from being emptied.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{- include "eventgraph.selector" (index . 1) | nindent 6 }}
{{- end -}}

{{- /* Takes [name, labels, what values.yaml says of it]. */ -}}
{{- define "eventgraph.autoscaler" -}}
{{- $labels := index . 1 -}}
{{- with index . 2 }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ index $ 0 }}
  labels: {{- include "eventgraph.labels" $labels | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ index $ 0 }}}
  minReplicas: {{ .minReplicas }}
  maxReplicas: {{ .maxReplicas }}
  behavior:
    # Partitions move, and caches are cold, whenever one goes: not for a short lull.
    scaleDown: {stabilizationWindowSeconds: 600}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ .cpuPercent }}}
    {{- with .requestsPerSecond }}
    - type: Pods
      pods:
        metric: {name: http_server_requests_per_second}
        target: {type: AverageValue, averageValue: {{ . | quote }}}
    {{- end }}
    {{- with .lagEvents }}
    - type: External
      external:
        metric:
          name: eventgraph_reader_lag
          selector:
            matchLabels:
              messaging_consumer_group_name: {{ index $labels 2 }}
        target: {type: AverageValue, averageValue: {{ . | quote }}}
    {{- end }}
{{- end }}
{{- end -}}
