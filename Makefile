# make demo: a failed run becomes a fixed one, on a real Airflow, with nothing but Python 3.11+ and git.
# make test: lint, types and all tests. Both set themselves up.
AIRFLOW ?= 3.3
VENV ?= .venv
CONSTRAINTS := constraints/airflow-$(AIRFLOW).txt
BIN := $(VENV)/bin
# The first interpreter that starts and is one Airflow supports; a version manager's shim may exist and not start.
PYTHON ?= $(shell for p in python3 python3.12 python3.13 python3.11; do $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1 && { echo $$p; break; }; done)
UV := $(shell if command -v uv >/dev/null 2>&1 && uv --version >/dev/null 2>&1; then echo uv; elif python3 -m uv --version >/dev/null 2>&1; then echo python3 -m uv; fi)

.PHONY: help standins demo test test-unit test-e2e test-matrix lint types format screenshots bench constraints clean
help:
	@grep -E '^# make' Makefile

# Who types `make demo` needs no test tools: two stamps, one environment.
RUN_READY := $(VENV)/.ready-run-$(AIRFLOW)
DEV_READY := $(VENV)/.ready-dev-$(AIRFLOW)

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "No Python 3.11, 3.12 or 3.13 found. Install one, or say: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(if $(UV),$(UV) venv -q --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" $(VENV),$(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install -q 'pip>=25.1')

$(RUN_READY): pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/python
	$(if $(UV),$(UV) pip install -q --python $(BIN)/python,$(BIN)/python -m pip install -q) -e . -c $(CONSTRAINTS)
	@touch $@

$(DEV_READY): $(RUN_READY)
	$(if $(UV),$(UV) pip install -q --python $(BIN)/python,$(BIN)/python -m pip install -q) -e '.[postgres]' --group dev -c $(CONSTRAINTS)
	@touch $@

# make standins: what others made and tests hold ours against: GitHub's description of its API, and their own GitHub (needs npm)
STANDINS := .standins
standins: $(STANDINS)/.ready-1
$(STANDINS)/.ready-1:
	@mkdir -p $(STANDINS)
	cd $(STANDINS) && npm pack --silent @octokit/openapi@23.0.2 >/dev/null && \
	  tar -xzf octokit-openapi-23.0.2.tgz --strip-components=2 package/generated/api.github.com.json && rm octokit-openapi-23.0.2.tgz
	npm install --silent --no-audit --no-fund --no-save --ignore-scripts --prefix $(STANDINS) emulate@0.11.2
	@touch $@

demo: $(RUN_READY)
	@$(BIN)/agentfix demo

test: lint types test-unit test-e2e

lint: $(DEV_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV_READY)
	$(BIN)/mypy

test-unit: $(DEV_READY)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --durations=15 --no-loadscope-reorder -m 'not e2e'

test-e2e: $(DEV_READY)
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --durations=15 -m e2e tests/e2e tests/browser

# make test-matrix: unit and end-to-end tests (the demo among them) on every Airflow line, each in an environment of its own
MATRIX ?= 3.1:python3.11 3.2:python3.13 3.3:python3.12
test-matrix:
	@for pair in $(MATRIX); do \
	  line=$${pair%%:*}; python=$${pair#*:}; \
	  $$python -c '' >/dev/null 2>&1 || { echo "$$python does not start, so Airflow $$line gets $(PYTHON)" >&2; python=$(PYTHON); }; \
	  echo "== Airflow $$line, $$python"; \
	  $(MAKE) --no-print-directory VENV=.venv-$$line AIRFLOW=$$line PYTHON=$$python test-unit test-e2e || exit 1; \
	done

format: $(DEV_READY)
	$(BIN)/ruff check --fix-only -q .
	$(BIN)/ruff format -q .

# make screenshots: the pictures of docs/images, of every page in light and dark (needs Chromium)
screenshots: $(DEV_READY)
	$(BIN)/python -m tests.browser.pictures docs/images

bench: $(DEV_READY)
	@$(BIN)/python -m bench

# make constraints: pin every dependency anew for each Airflow line (needs uv)
# FastAPI's bound is 3.3.2's own: with a newer one the API server of 3.2.2, which names no bound, does not start.
constraints:
	for pin in 3.1.8 3.2.2 3.3.2; do \
	  printf 'apache-airflow==%s\nfastapi<0.137\n' $$pin | $(UV) pip compile -q --upgrade --universal --python-version 3.11 --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links --all-extras --group dev pyproject.toml -c - -o constraints/airflow-$${pin%.*}.txt; \
	done

clean:
	rm -rf $(VENV) .venv-* $(STANDINS) build dist .pytest_cache .mypy_cache .ruff_cache
