# Everything a person runs. Needs Python 3.11+ and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo test test-fast long world kubernetes unit wire grammars journeys chaos schedules judge pictures docs lint types format lock client-lock audit clean
.DEFAULT_GOAL := test

# Installed again only when the lock or the project's own metadata changes.
$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tidegate needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

help:  ## this list
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(STAMP)  ## four releases in the embedded world; KEEP=1 leaves it up
	@$(BIN)/tidegate-sandbox demo $(if $(KEEP),--keep)

# Three processes: many tests wait for a server and not for a processor. What was asked of the embedded API servers is
# written down, and compared at the end with what the deployed roles grant. A process that something hangs in is ended,
# and what it was at is tried twice more.
AUDIT := $(CURDIR)/.tidegate/kubernetes-audit.jsonl

test: lint  ## everything that CI runs
	@mkdir -p $(dir $(AUDIT)) && rm -f $(AUDIT)
	SANDBOX_KUBERNETES_AUDIT_LOG=$(AUDIT) $(BIN)/pytest --numprocesses 3 --dist loadfile --max-worker-restart 2 --no-loadscope-reorder \
	  -m 'not long' --ignore tests/rights
	SANDBOX_KUBERNETES_AUDIT_LOG=$(AUDIT) $(BIN)/pytest tests/rights

# One release through its workflow, which a bad version does not survive; `make test` has the others.
FAST := tests/unit tests/contract tests/docs tests/structure \
  tests/workflows/test_rollout.py::test_a_bad_version_dies_at_the_first_gate_with_an_incident

test-fast: lint  ## lint, types, pure rules, the wire, the documents, one release: under a minute
	$(BIN)/pytest $(FAST)

long: $(STAMP)  ## what `make test` leaves out: comparisons in real time, each page in a browser, frozen servers
	$(BIN)/pytest -m long

world: $(STAMP)  ## releases in the embedded world, also those of minutes: a comparison of good, bad and silent versions
	$(BIN)/pytest tests/world

wire: $(STAMP)  ## write tests/contract/wire.json anew: a reviewed change
	$(BIN)/python -m tests.contract

grammars: $(STAMP)  ## the tables of the parsers: after a change of a grammar, or of lark's version
	PYTHONHASHSEED=0 $(BIN)/python -m tests.grammar_tables

# A stranger's five ways through the pages, each command typed in the embedded world.
journeys: $(STAMP)  ## the commands of README, install, first gate, migration and troubleshooting, as they stand there
	$(BIN)/python -m tests.journeys

# Which cluster that is, and what else it can be given: tests/kubernetes/__init__.py.
kubernetes: $(STAMP)  ## on a real control plane, under the roles of deploy/: TIDEGATE_TEST_KUBECONFIG=...
	@test -n "$$TIDEGATE_TEST_KUBECONFIG" || { echo "TIDEGATE_TEST_KUBECONFIG names no kubeconfig of a cluster for tests"; exit 64; }
	$(BIN)/pytest tests/kubernetes tests/conformance

unit: $(STAMP)  ## the pure rules only
	$(BIN)/pytest tests/unit

# Each failing round prints what makes it come again, and leaves histories, journal and logs in .tidegate/chaos.
chaos: $(STAMP)  ## releases among killed and frozen processes and failing links: N rounds, SEED=... for the same again
	$(BIN)/python -m tests.chaos --rounds $(or $(N),10) $(if $(SEED),--seed $(SEED)) $(if $(FIRST),--first $(FIRST))

schedules: $(STAMP)  ## N random lives of a Rollout that nobody has played before, or from SEED=... on
	TIDEGATE_SCHEDULES=$(or $(N),1000) $(if $(SEED),TIDEGATE_SEED=$(SEED)) $(BIN)/pytest tests/laws/test_releases.py -k new

judge: $(STAMP)  ## N simulated rollouts of each kind against the goals of the comparison, and 20 through Datadog's API
	$(BIN)/python -m benchmarks.judge --check --reps $(or $(N),20) --procs 2
	$(BIN)/python -m benchmarks.judge --check --rough --reps $(or $(N),20) --procs 2
	$(BIN)/pytest tests/activities/test_datadog_rollouts.py

pictures: $(STAMP)  ## the pictures of the documents and their snapshots; those of web pages need a Chromium
	$(BIN)/python -m tests.unit.cli.screens
	$(BIN)/python -m benchmarks.judge.pictures
	$(BIN)/python -m tests.docs.drawings
	TIDEGATE_PICTURES=$(CURDIR)/docs/pictures $(BIN)/pytest tests/browser

# In an environment of its own. A broken link or anchor, or a page without a place, is an error; `--quiet` would not see it.
SITE := .venv-docs/bin

docs: .venv-docs/.installed  ## the site of the documents, into .tidegate/site
	NO_MKDOCS_2_WARNING=1 $(SITE)/mkdocs build --strict

.venv-docs/.installed: requirements.docs.lock
	$(PYTHON) -m venv .venv-docs
	$(SITE)/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.docs.lock
	@touch $@

lint: types  ## format, rules, walls between rooms, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP)  ## mypy, strict
	$(BIN)/mypy

format: $(STAMP)  ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

COMPILE = .venv-lock/bin/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
  --python-version 3.11

# Of all extras, of the image, of a client, of what builds the image, and of the site of the documents.
lock: $(STAMP)  ## write the locks again, with the versions that they have; UPGRADE=1 takes the newest
	$(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet uv
	$(COMPILE) $(if $(UPGRADE),--upgrade) --all-extras pyproject.toml -o requirements.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) --constraint requirements.lock --extra worker --extra otel pyproject.toml -o requirements.runtime.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) --constraint requirements.lock pyproject.toml -o requirements.client.lock
	printf '%s\n' cyclonedx-bom hatchling pip | $(COMPILE) --constraint requirements.lock - -o requirements.build.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) --constraint requirements.lock --group docs -o requirements.docs.lock
	rm -rf .venv-lock

client-lock: $(STAMP)  ## what a pipeline installs: the wheel of this version and all that it stands on, each with its hash
	rm -rf dist && $(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	$(BIN)/python -c 'import hashlib, pathlib; [w] = pathlib.Path("dist").glob("tidegate-*.whl"); lock = pathlib.Path("requirements.client.lock").read_text(); print(f"{lock}tidegate==" + w.name.split("-")[1], "--hash=sha256:" + hashlib.sha256(w.read_bytes()).hexdigest())' >dist/tidegate.lock

audit: $(STAMP)  ## known advisories for what the image holds
	$(BIN)/pip-audit --strict --disable-pip --requirement requirements.runtime.lock

clean:  ## remove the environment, the caches and what runs left
	rm -rf $(VENV) .venv-docs .tidegate .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
