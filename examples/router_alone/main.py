"""A router in five lines: over an app in this process and a server of its own."""
# ruff: noqa: INP001, I001 - run from its own folder, where the example's users are as foreign to it as the router

import uvicorn
from graphrouter import federate
from users import app as users_app

app = federate({"users": users_app, "reviews": "http://127.0.0.1:4001/graphql"})
uvicorn.run(app, port=4000)
