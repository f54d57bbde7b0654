# make demo | test | check | install ... each creates what it needs; only Python 3.11+ must be there.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet

.DEFAULT_GOAL := help
.PHONY: help install editor ministack demo test check lint format types layers lock bench reference dashboards dist clean

help: ## Show what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

# Stamps: a set of packages is installed again only when its lock changed.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: requirements-demo.lock pyproject.toml | $(BIN)/python
	@echo "Installing tripswitch into $(VENV) (about a minute) ..."
	@$(PIP) --require-hashes -r requirements-demo.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.demo
	@echo "Installing the development tools ..."
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

install: $(VENV)/.demo ## Make .venv with `tripswitch` in it
	@echo "Ready: $(BIN)/tripswitch --help"

# An emulator that nobody tuned to tripswitch, apart from the rest: it pins another botocore.
MINISTACK := .venv-ministack
$(MINISTACK)/.ready: requirements-ministack.lock | $(BIN)/python
	@echo "Installing MiniStack into $(MINISTACK) ..."
	@$(BIN)/python -m venv $(MINISTACK)
	@$(MINISTACK)/bin/python -m pip --disable-pip-version-check --no-input install --quiet --require-hashes -r requirements-ministack.lock
	@touch $@

# What editors ask about pipeline files, so that the schema is tested as they use it.
EDITOR_SERVER := $(VENV)/yaml-language-server
$(EDITOR_SERVER)/node_modules: | $(BIN)/python
	@npm install --prefix $(EDITOR_SERVER) --no-audit --no-fund --silent yaml-language-server@1.25.0
	@touch $@

editor: $(EDITOR_SERVER)/node_modules ## Make .venv/yaml-language-server, for tests/config/test_config_editor.py (npm)

ministack: $(MINISTACK)/.ready ## Make .venv-ministack, against which tests/ministack runs

SCENARIO ?= event-loop
demo: $(VENV)/.demo ## Watch an incident being contained (SCENARIO=event-loop)
	@$(BIN)/tripswitch demo $(SCENARIO)

test: $(VENV)/.dev ## Run the tests
	@$(BIN)/python -m pytest -n 3 --dist loadgroup --ignore tests/faults $(ARGS)
	@# The fault tests hold the daemon to its promised answer times: they run alone, without a neighbour on the cores.
	@$(BIN)/python -m pytest tests/faults $(ARGS)

check: lint types layers test ## Everything that must hold: lint, format, types, layers, tests

lint: $(VENV)/.dev ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.dev ## mypy, strict
	@$(BIN)/mypy

layers: $(VENV)/.dev ## Imports point one way
	@PYTHONPATH=. $(BIN)/lint-imports --no-cache

format: $(VENV)/.dev ## Put the code in shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.dev ## Run the benchmarks (minutes)
	@$(BIN)/python -m bench

reference: $(VENV)/.dev ## Write docs/reference, the JSON Schema and the chart's copies from the code
	@PYTHONPATH=. $(BIN)/python tools/reference.py
	@PYTHONPATH=. $(BIN)/python tools/chart.py

dashboards: $(VENV)/.dev ## Write Grafana's dashboards (config/grafana) from the code
	@PYTHONPATH=. $(BIN)/python tools/dashboards.py

lock: $(VENV)/.dev ## Pin the dependencies anew, with hashes
	@$(BIN)/python tools/lock.py

dist: $(VENV)/.dev ## Build wheel, source and bill of materials into dist/, and try them
	@$(BIN)/python tools/release.py

clean: ## Remove what was made
	@rm -rf $(VENV) $(MINISTACK) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
