# One image for every process of the distributed mode (`kith serve …`, `kith project …`), and for `kith up`.

ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG NODE_IMAGE=node:20-bookworm-slim

# The playground's files, from the npm package that its lock file pins.
FROM ${NODE_IMAGE} AS playground
WORKDIR /build/router
COPY router/playground playground
RUN CI=true playground/build-assets

# A virtual environment with what the lock file names; dependencies are a layer of their own.
FROM ${PYTHON_IMAGE} AS build
ARG UV_VERSION=0.13.9
RUN pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore "uv==${UV_VERSION}"
ENV UV_PROJECT_ENVIRONMENT=/opt/kithgraph UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 \
    UV_NO_CACHE=1
WORKDIR /build
COPY pyproject.toml uv.lock ./
COPY router/pyproject.toml router/
COPY examples/bank/pyproject.toml examples/bank/
COPY examples/shop/pyproject.toml examples/shop/
RUN uv sync --frozen --no-default-groups --extra server --extra distributed --extra tracing --no-install-workspace
COPY README.md LICENSE ./
COPY router/README.md router/
COPY router/graphrouter router/graphrouter
COPY eventkernel eventkernel
COPY eventgraph eventgraph
COPY subgraphs subgraphs
COPY kithgraph kithgraph
COPY --from=playground /build/router/graphrouter/server/assets router/graphrouter/server/assets
RUN uv sync --frozen --no-default-groups --extra server --extra distributed --extra tracing --no-editable

FROM ${PYTHON_IMAGE}
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent kith \
    && install --directory --owner=kith --group=kith --mode=0700 /data
COPY --from=build /opt/kithgraph /opt/kithgraph
ENV PATH=/opt/kithgraph/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    KITH_HOST=0.0.0.0 KITH_PORT=9000 KITH_DATA=/data
USER kith
WORKDIR /data
EXPOSE 9000
HEALTHCHECK --interval=5s --timeout=5s --start-period=300s --retries=6 CMD ["python", "-c", \
    "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['KITH_PORT'] + '/health/ready', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["kith"]
CMD ["serve", "router"]
