# Everything runs in .venv, which `make` builds from requirements.lock the first time and again
# when the lock or the project's own metadata change.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check

# What some tests need and go without; where it cannot be had, they say that they were skipped.
PGBOUNCER := command -v pgbouncer > /dev/null || DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
	apt-get install --quiet --yes --no-install-recommends -o Acquire::Retries=0 \
	-o Acquire::http::Timeout=10 pgbouncer > /dev/null 2>&1 || true

.DEFAULT_GOAL := help
.PHONY: help install run demo test quick coverage chaos check format bench openapi lock clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Build the environment; every other command does so by itself

run: $(INSTALLED) ## Start everything and print the addresses; Ctrl-C stops all of it
	@$(BIN)/holdfast up

demo: $(INSTALLED) ## A shop's day against a running copy, proved to the unit and the penny
	@$(BIN)/holdfast demo

test: $(INSTALLED) ## Run the tests, on real servers; ARGS="-x -k word" goes to pytest
	@$(PGBOUNCER)
	@$(BIN)/python -m tests.lanes all $(ARGS)

quick: $(INSTALLED) ## Run those that need no whole copy: units, store, API in one process
	@$(BIN)/python -m tests.lanes quick $(ARGS)

coverage: $(INSTALLED) ## Run the tests and say how much of each room they run, servers included
	@$(PGBOUNCER)
	@$(BIN)/python -m tests.coverage_rooms $(ARGS)

chaos: $(INSTALLED) ## Try to break every promise for an hour; CHAOS_MINUTES=n, CHAOS_SEED=n
	@$(if $(CHAOS_SEED),HOLDFAST_CHAOS_SEED=$(CHAOS_SEED)) \
		CHAOS_MINUTES=$(or $(CHAOS_MINUTES),60) $(BIN)/python -m tests.chaos.table $(ARGS)

check: $(INSTALLED) ## Lint, format, types, imports; descriptions of database, API and events
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/holdfast pattern
	@$(BIN)/holdfast migrate --check
	@$(BIN)/holdfast openapi --check
	@$(BIN)/holdfast events --check

format: $(INSTALLED) ## Put the code into shape
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

bench: $(INSTALLED) ## Measure against other ways of doing the same; QUICK=1, COMMIT_DELAY=2000, KEEP=1
	@command -v wrk > /dev/null || apt-get install --quiet --yes wrk || true
	@$(BIN)/python -m bench.run $(if $(QUICK),--quick) $(if $(KEEP),--keep-baseline) \
		$(if $(COMMIT_DELAY),--commit-delay $(COMMIT_DELAY))

openapi: $(INSTALLED) ## Write deployments/openapi.json and deployments/events.json anew
	@$(BIN)/holdfast openapi
	@$(BIN)/holdfast events

lock: ## Pin the newest dependencies that fit; needs uv
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra dev \
		--generate-hashes --no-header --no-emit-index-url \
		--output-file requirements.lock pyproject.toml

clean: ## Stop the copy that runs here; remove the environment and caches, keep the data
	@[ ! -x $(BIN)/holdfast ] || $(BIN)/holdfast down
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
		.schemathesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): requirements.lock pyproject.toml
	@command -v $(PYTHON) > /dev/null || { echo "Holdfast needs Python 3.11 or later."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' || { \
		echo "Holdfast needs Python 3.11 to 3.14; $(PYTHON) is $$($(PYTHON) -V 2>&1)."; \
		echo "Name another one with: make PYTHON=python3.12 ..."; exit 1; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Holdfast needs Python's venv module; on Debian and Ubuntu: apt install python3-venv"; \
		exit 1; }
	@echo "Installing into $(VENV), about a minute the first time."
	@$(PIP) install --quiet --require-hashes --requirement requirements.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
