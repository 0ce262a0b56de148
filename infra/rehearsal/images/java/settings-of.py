#!/usr/bin/env python3
"""Print a configuration file made of the environment, by the rule of Kafka's and Neo4j's images.

`settings-of KAFKA_ lower` turns KAFKA_LOG_DIRS=… into log.dirs=…; one underscore is a dot, two are one underscore.
"""

import os
import sys

prefix, case = sys.argv[1:]
for name, value in sorted(os.environ.items()):
    if name.startswith(prefix):
        setting = name.removeprefix(prefix).replace("__", "\0").replace("_", ".").replace("\0", "_")
        print(f"{setting.lower() if case == 'lower' else setting}={value}")
