# Kithgraph: every task of a developer and of CI. `make help` lists them.

PYTHON  ?= python3
UV_VERSION := 0.13.9
UV      := .uv/$(UV_VERSION)/bin/uv
BIN     := .venv/bin
ARGS    ?=
SOURCES := eventkernel eventgraph subgraphs kithgraph router/graphrouter
LOCKED  := uv.lock pyproject.toml router/pyproject.toml
# One process a core; the tests of one file stay together, because they share running systems.
PARALLEL := --numprocesses auto --dist loadfile
MARK    := .venv/.installed
WEB     := examples/web
WEB_PACKAGES := $(WEB)/node_modules/.package-lock.json
# Somebody who watches sees what is being downloaded and installed; logs do not need it.
QUIET   := $(shell [ -t 2 ] || echo --quiet)

export UV_PROJECT_ENVIRONMENT := .venv

.DEFAULT_GOAL := help
.PHONY: help setup run run-distributed dev develop web docs check format test test-web test-engines test-all rehearse audit generate manifests bench bench-router \
        simulate fuzz-router release lock clean

# Where the frontend is built they serve it at /app; KITH_WEB may name another folder.
run dev: export KITH_WEB ?= $(CURDIR)/$(WEB)/dist

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(MARK)-run ## Install what `make run` needs into .venv

run: $(MARK)-run ## Start Kithgraph on port 9000, data in ./data; options: make run ARGS="--port 9100 --data /some/folder"
	@exec $(BIN)/kith up $(ARGS)

run-distributed: $(MARK)-distributed ## The same on Kafka, MongoDB and Neo4j, which it starts without containers (needs Java, Maven)
	@exec $(BIN)/python -m infra.run_distributed $(ARGS)

dev: $(MARK)-dev ## Like run, and start again whenever a source file changes
	@exec $(BIN)/watchfiles --filter python --sigint-timeout 10 "$(BIN)/kith up $(ARGS)" $(SOURCES)

develop: $(MARK)-dev ## Install everything that developers need into .venv

web: $(WEB)/dist/index.html ## Build the frontend that `make run` serves at /app (needs Node)

docs: $(MARK)-dev ## Build the documentation's site into ./site; make docs ARGS=serve shows it on port 8000 and follows edits
	@$(BIN)/python -m infra.site $(ARGS)

check: $(MARK)-dev ## Lint, types, import rules, lock file, generated files
	$(UV) lock --check --quiet
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/kith schema --check
	$(BIN)/bank schema --check --folder examples/bank
	$(BIN)/shop schema --check --folder examples/shop
	$(BIN)/kith schema check --operations $(WEB)/src
	$(BIN)/bank schema check --folder examples/bank
	$(BIN)/shop schema check --folder examples/shop
	$(BIN)/graphrouter config schema --check router/configuration.schema.json
	$(BIN)/graphrouter config reference --check router/configuration.md
	$(BIN)/python -m tests.support.metrics_page --check
	$(BIN)/python -m infra.observability.dashboards --check
	$(BIN)/kith helm-values --check infra/helm/systems/kith.yaml
	$(BIN)/bank helm-values --check infra/helm/systems/bank.yaml
	$(BIN)/shop helm-values --check infra/helm/systems/shop.yaml

format: $(MARK)-dev ## Put sources into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: $(MARK)-dev ## The tests that need Python alone; of campaigns a short version
	$(BIN)/pytest $(PARALLEL) -m "not (browser or engines or node or wheel or slow)" $(ARGS)

test-web: web ## Lint, types and tests of the frontend alone (needs Node)
	cd $(WEB) && npm run --silent check
	cd $(WEB) && npm run --silent test

test-engines: $(MARK)-dev ## The tests on Kafka, MongoDB, Neo4j, S3 and Kubernetes, which it starts without containers (needs Java, Maven, Go)
	@$(BIN)/python -m infra.local fetch
	$(BIN)/pytest $(PARALLEL) -m engines $(ARGS)

test-all: $(MARK)-dev ## Every test, campaigns in full
	@$(BIN)/python -m infra.local fetch
	$(BIN)/pytest $(PARALLEL) --campaign full $(ARGS)

rehearse: $(MARK)-dev ## Start docker-compose.yml for real, on images made here (as root on Debian; says what it needs)
	@$(BIN)/python -m infra.rehearsal

simulate: $(MARK)-dev ## Histories of the write and read sides under faults, in virtual time (ARGS="--histories N --seed S", see --help)
	@$(BIN)/python -m tests.simulation $(ARGS)

fuzz-router: $(MARK)-dev ## 10,000 operations over random subgraphs against one schema (ARGS: how many, first seed)
	@$(BIN)/python -m tests.support.federations $(ARGS)

audit: $(MARK)-dev ## Every case of the federation audit beside the repository, strict, in-process and over HTTP
	@$(BIN)/python -m tests.support.router_audit

generate: $(MARK)-dev ## Write the generated files anew: schemas, frames of docs/planner.md, the router's settings, docs/metrics.md, values for Helm
	$(BIN)/kith schema
	$(BIN)/bank schema --folder examples/bank
	$(BIN)/shop schema --folder examples/shop
	$(BIN)/python -m tests.support.planner_page
	$(BIN)/graphrouter config schema --output router/configuration.schema.json
	$(BIN)/graphrouter config reference --output router/configuration.md
	$(BIN)/python -m tests.support.metrics_page
	$(BIN)/python -m infra.observability.dashboards
	$(BIN)/kith helm-values > infra/helm/systems/kith.yaml
	$(BIN)/bank helm-values > infra/helm/systems/bank.yaml
	$(BIN)/shop helm-values > infra/helm/systems/shop.yaml

manifests: $(MARK)-dev ## Write the plain manifests of infra/kubernetes anew from the Helm chart (needs Go)
	@$(BIN)/python -m infra.manifests

bench: $(MARK)-dev ## Measure speed, in ratios where it can be; some: make bench ARGS="appends rebuild"
	@$(BIN)/python -m tests.benchmark $(ARGS)

bench-router: $(MARK)-dev ## Compare graphrouter with other gateways under one load; a part: make bench-router ARGS="--seconds 5 graphrouter"
	@$(BIN)/python -m tests.benchmark.gateway $(ARGS)

release: $(MARK)-dev ## Show what a release would be, in dist/VERSION: make release VERSION=1.2.3; ARGS="--publish --image REGISTRY/NAME" makes it everybody's
	@test -n "$(VERSION)" || { echo "make release: expected VERSION=1.2.3, found none" >&2; exit 2; }
	@$(BIN)/python -m infra.release $(VERSION) --uv $(UV) $(ARGS)

lock: $(UV) ## Resolve dependencies anew
	$(UV) lock

clean: ## Remove what was installed and cached; data stay
	rm -rf .venv .uv .cache/site site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist router/dist \
		$(WEB)/node_modules $(WEB)/dist $(WEB)/src/generated

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Kithgraph needs Python 3.11 or later, found %d.%d: name another with make PYTHON=python3.11" % sys.version_info[:2])'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "This Python cannot make virtual environments: install its venv module (on Debian: apt-get install python3-venv)" >&2; exit 1; }
	@echo "Setting up: uv $(UV_VERSION)"
	@$(PYTHON) -m venv .uv/$(UV_VERSION)
	@.uv/$(UV_VERSION)/bin/python -m pip install $(QUIET) --disable-pip-version-check uv==$(UV_VERSION)

$(WEB_PACKAGES): $(WEB)/package.json $(WEB)/package-lock.json
	@{ node $(WEB)/check-node.cjs && command -v npm; } >/dev/null 2>&1 || { \
		echo "make web: expected Node 20.19 or later with npm (https://nodejs.org), found $$(node --version 2>/dev/null || echo none)" >&2; exit 1; }
	@echo "Setting up: locked packages of the frontend"
	@cd $(WEB) && npm ci --include dev --loglevel error --ignore-scripts --no-audit --no-fund
	@touch $@

$(WEB)/dist/index.html: $(WEB_PACKAGES) schema.graphql $(shell find $(WEB)/src $(WEB)/*.* -type f -not -path '*/generated/*')
	@cd $(WEB) && npm run --silent generate && npm run --silent build -- --logLevel warn
	@touch $@
	@echo "Built: make run serves it at http://127.0.0.1:9000/app/"

$(MARK)-run: $(LOCKED) | $(UV)
	@echo "Setting up: locked dependencies into .venv, compiled"
	@$(UV) sync $(QUIET) --frozen --inexact --no-default-groups --extra server --compile-bytecode --python $(PYTHON)
	@$(BIN)/python -m compileall -q $(SOURCES)
	@router/playground/build-assets
	@touch $@

$(MARK)-distributed: $(LOCKED) | $(UV)
	@echo "Setting up: locked dependencies into .venv"
	@$(UV) sync $(QUIET) --frozen --inexact --no-default-groups --extra server --extra distributed --python $(PYTHON)
	@router/playground/build-assets
	@touch $(MARK)-run $@

$(MARK)-dev: $(LOCKED) | $(UV)
	@echo "Setting up: locked dependencies for developers into .venv"
	@$(UV) sync $(QUIET) --frozen --all-extras --all-groups --python $(PYTHON)
	@router/playground/build-assets
	@touch $(MARK)-run $(MARK)-distributed $@
