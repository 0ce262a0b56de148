# Formats Kafka's folder at the first start, then runs the broker.
set -euo pipefail
settings=/opt/kafka/config/server.properties
heap=${KAFKA_HEAP_OPTS:--Xmx512m}
unset KAFKA_HEAP_OPTS
settings-of KAFKA_ lower >"$settings"
java -Xmx128m -cp '/opt/kafka/libs/*' kafka.tools.StorageTool format --ignore-formatted \
    --cluster-id 5L6g3nShT-eMCtK--X86sw --config "$settings"
# shellcheck disable=SC2086 # several options in one variable
exec java $heap -cp '/opt/kafka/libs/*' kafka.Kafka "$settings"
