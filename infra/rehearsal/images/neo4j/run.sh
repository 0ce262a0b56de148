# Sets the password of NEO4J_AUTH at the first start, then runs the server.
set -euo pipefail
password=${NEO4J_AUTH#neo4j/}
unset NEO4J_AUTH
home=/var/lib/neo4j
{
    settings-of NEO4J_ kept
    echo server.directories.data=/data
    echo server.default_listen_address=0.0.0.0
    echo server.http.enabled=false
    echo server.https.enabled=false
} >"$home/conf/neo4j.conf"
export NEO4J_HOME=$home NEO4J_CONF=$home/conf
opens=()
for package in java.lang java.nio java.io java.util.concurrent sun.nio.ch; do
    opens+=("--add-opens=java.base/$package=ALL-UNNAMED")
done
if [ ! -e /data/dbms/auth.ini ]; then
    java -Xmx256m "${opens[@]}" -cp "$home/lib/*" org.neo4j.cli.AdminTool dbms set-initial-password "$password"
fi
exec java -Xmx1g "${opens[@]}" -cp "$home/lib/*" org.neo4j.server.CommunityEntryPoint \
    --home-dir="$home" --config-dir="$home/conf" --console-mode
