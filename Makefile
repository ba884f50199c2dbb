# Everything runs in a virtual environment of its own, .venv, made from hash-checked pins.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.installed-bench
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --require-hashes

.PHONY: demo test test-cluster cluster test-long test-statistical verify check format bench bench-memory bench-replay bench-plan schema figures clean requirements

demo: $(STAMP)  ## sets up what it needs and runs the main job on the quickstart scenario
	$(BIN)/surgeproof run quickstart

test: $(STAMP)  ## sets up what it needs and passes the tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup

test-long: $(STAMP)  ## what the tests leave out for time: killed fleets, faults, plain Locust, calibration, a foreign front end (minutes)
	$(BIN)/python -m pytest -rs -m long

test-cluster: $(STAMP)  ## a real Kubernetes on this machine and the tests that need one (root and Go; builds it the first time, ten minutes)
ifndef SURGEPROOF_TEST_KUBECONFIG
	@$(BIN)/python -m tests.cluster --build-only
endif
	$(BIN)/python -m pytest -m cluster tests/cluster

cluster: $(STAMP)  ## that Kubernetes alone, until it is interrupted
	@$(BIN)/python -m tests.cluster

test-statistical: $(STAMP)  ## only the comparisons with theory
	$(BIN)/python -m pytest -m 'statistical and not verify and not long'

verify: $(STAMP)  ## thousands of random cases, every reference value, coverage of the intervals (half an hour)
	$(BIN)/python -m pytest -m verify -p no:randomly -v -s --durations=0 --durations-min=10

check: $(STAMP)  ## linters, type checker, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(BENCH_STAMP)  ## speed beside other simulators, in one run (minutes)
	$(BIN)/python -m tests.benchmarks

bench-memory: $(STAMP)  ## peak memory of a billion requests (minutes)
	$(BIN)/python -m tests.benchmarks.memory

bench-replay: $(STAMP)  ## send times beside a bare timer loop and Locust's own ways, in one run (half an hour)
	$(BIN)/python -m tests.benchmarks.replay

bench-plan: $(STAMP)  ## requests of a plan beside exhaustive search, and the time for an hour of traffic (half an hour)
	$(BIN)/python -m tests.benchmarks.planning

schema: $(STAMP)  ## writes the JSON Schema that editors read
	$(BIN)/surgeproof schema > scenarios/scenario.schema.json

# Pins every dependency with its hashes; the files name no download address.
PIN := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url
requirements:
	$(PIN) pyproject.toml --extra loadtest --extra azure --extra dask --group test --group lint --group build -o requirements/dev.txt
	$(PIN) --group bench -c requirements/dev.txt -o requirements/bench.txt
	$(PIN) --group bench-source --no-deps -o requirements/bench-source.txt
	$(PIN) loadtest/lab/scoring_server/requirements.in -o loadtest/lab/scoring_server/requirements.txt

$(STAMP): requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Surgeproof needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	@echo "Setting up $(VENV): downloads and installs the pinned packages, a few minutes the first time ..."
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	touch $(STAMP)

# queueing-tool has no wheels: where it cannot be compiled, the table goes without it.
$(BENCH_STAMP): $(STAMP) requirements/bench.txt requirements/bench-source.txt
	$(PIP_INSTALL) --quiet -r requirements/bench.txt
	-$(PIP_INSTALL) --quiet --no-build-isolation --no-deps -r requirements/bench-source.txt
	touch $(BENCH_STAMP)

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
