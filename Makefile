# Everything runs in a virtual environment of its own, .venv, made from hash-checked pins.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-statistical check format bench schema figures clean requirements

demo: $(STAMP)  ## sets up what it needs and runs the main job on the quickstart scenario
	$(BIN)/surgeproof run quickstart

test: $(STAMP)  ## sets up what it needs and passes the tests
	$(BIN)/python -m pytest

test-statistical: $(STAMP)  ## only the comparisons with theory
	$(BIN)/python -m pytest -m statistical

check: $(STAMP)  ## linters, type checker, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## speed, side by side in one run
	$(BIN)/python -m tests.benchmarks.speed

schema: $(STAMP)  ## writes the JSON Schema that editors read
	$(BIN)/surgeproof schema > scenarios/scenario.schema.json

# Pins every dependency with its hashes; the files name no download address.
requirements:
	uv pip compile pyproject.toml --extra loadtest --group test --group lint --group build --universal \
	  --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url -o requirements/dev.txt
	uv pip compile loadtest/lab/scoring_server/requirements.in --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url -o loadtest/lab/scoring_server/requirements.txt

$(STAMP): requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Surgeproof needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	@echo "Setting up $(VENV): downloads and installs the pinned packages, a few minutes the first time ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
