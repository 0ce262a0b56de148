#!/bin/bash
# Adds the user of MONGO_INITDB_ROOT_… at the first start, then serves with authentication; mongod's options are left out.
set -euo pipefail
# The name under which the others find this member, as rs.initiate would be told.
export HOME=/tmp
host=$(hostname)
server=(/opt/secantus/bin/python -I -m secantus --storage-path /data/db --port 27017)
if [ ! -e /data/configdb/user-added ]; then
    chown -R mongodb /data/db /data/configdb
    setpriv --reuid=mongodb --regid=mongodb --clear-groups "${server[@]}" --host 127.0.0.1 &
    /opt/secantus/bin/python - <<'PYTHON'
import os, pymongo
name, password = os.environ["MONGO_INITDB_ROOT_USERNAME"], os.environ["MONGO_INITDB_ROOT_PASSWORD"]
admin = pymongo.MongoClient("127.0.0.1", 27017, directConnection=True).admin
admin.command("createUser", name, pwd=password, roles=[{"role": "root", "db": "admin"}])
PYTHON
    kill %1
    wait %1 || true
    touch /data/configdb/user-added
fi
exec setpriv --reuid=mongodb --regid=mongodb --clear-groups "${server[@]}" --host "$host" --auth
