# Each target makes the .venv it needs, with uv where there is one, else with python3 -m venv and pip.
# PYTHON=python3.12 picks the interpreter; ARGS="..." is passed on to the command.

PYTHON ?= python3
ARGS ?=
LITELLM ?= 1.106.2
BIN := .venv/bin
SERVE := .venv/.serve-installed
DEV := .venv/.dev-installed

.DEFAULT_GOAL := help
.PHONY: help setup serve demo lint check test test-all soak bench bench-peers sdk-tests fix clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(DEV) ## make .venv with everything that development needs

serve: $(SERVE) ## run the proxy on 127.0.0.1:8400, e.g. ARGS="--upstream http://127.0.0.1:11434"
	$(BIN)/isocost serve $(ARGS)

demo: $(SERVE) ## a 120-turn conversation through the proxy, without a network
	$(BIN)/isocost demo $(ARGS)

lint: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint ## format, lint, types and the fast tests, in under a minute
	$(BIN)/pytest -n auto -m "not slow and not soak" --hypothesis-profile=quick $(ARGS)

test: $(DEV) ## every test but the soak
	$(BIN)/pytest -n auto -m "not soak" $(ARGS)

test-all: lint ## everything, minutes of load included
	$(BIN)/pytest $(ARGS)

soak: $(DEV) ## 20,000 requests and 5,000 hang-ups: does memory stay flat? a minute or two
	$(BIN)/python -m benchmarks.soak $(ARGS)

bench: $(DEV) ## measure, and print one table
	$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(DEV) ## the wire beside LiteLLM's proxy, which goes into a venv of its own
	@[ -x .venv-peers/bin/litellm ] || { $(PYTHON) -m venv .venv-peers && .venv-peers/bin/python -m pip install \
	--quiet --disable-pip-version-check "litellm[proxy]==$(LITELLM)"; }
	$(BIN)/python -m benchmarks.peers --litellm .venv-peers/bin/litellm

sdk-tests: $(DEV) ## the openai SDK's own tests, directly and through the proxy (needs npm)
	@[ -f .sdk-tests/ready ] || bash benchmarks/sdk_setup.sh .sdk-tests $(PYTHON)
	$(BIN)/python -m benchmarks.sdk --python .sdk-tests/bin/python --folder .sdk-tests/work

fix: $(DEV) ## format, and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove .venv, builds and caches; conversations stay
	rm -rf .venv .venv-peers .sdk-tests build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps, so that an install runs again only after pyproject.toml changed.
# No --upgrade, and nothing is uninstalled: `make serve` after `make test` keeps the development tools.
define install
	@if command -v uv >/dev/null 2>&1; then uv pip install --python $(BIN)/python $(1); \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check $(1); fi
	@touch $@
endef

$(SERVE): pyproject.toml | $(BIN)/python
	$(call install,-e .)

$(DEV): pyproject.toml | $(BIN)/python
	$(call install,-e ".[dev]")
	@touch $(SERVE)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "isocost needs Python 3.11 or newer, and '$(PYTHON)' is not: try make PYTHON=python3.12" >&2; exit 1; }
	@if command -v uv >/dev/null 2>&1; then uv venv --python "$$(command -v $(PYTHON))" .venv; \
	else $(PYTHON) -m venv .venv; fi
