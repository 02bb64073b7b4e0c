# Everything a person runs. Needs Python 3.11+ and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test unit chaos schedules lint format lock client-lock audit clean
.DEFAULT_GOAL := test

# Installed again only when the lock or the project's own metadata changes.
$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tidegate needs Python 3.11 or newer: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP)  ## three releases in the embedded world; KEEP=1 leaves it up
	@$(BIN)/tidegate-sandbox demo $(if $(KEEP),--keep)

# Two processes: most tests wait for a server and not for a processor. What was asked of the embedded API servers is
# written down, and compared at the end with what the deployed roles grant. A process that something hangs in is ended,
# and what it was at is tried twice more.
AUDIT := $(CURDIR)/.tidegate/kubernetes-audit.jsonl

test: lint  ## everything that CI runs
	@mkdir -p $(dir $(AUDIT)) && rm -f $(AUDIT)
	SANDBOX_KUBERNETES_AUDIT_LOG=$(AUDIT) $(BIN)/pytest --numprocesses 2 --dist loadfile --max-worker-restart 2 --ignore tests/rights
	SANDBOX_KUBERNETES_AUDIT_LOG=$(AUDIT) $(BIN)/pytest tests/rights

unit: $(STAMP)  ## the pure rules only
	$(BIN)/pytest tests/unit

# Each failing round prints what makes it come again, and leaves histories, journal and logs in .tidegate/chaos.
chaos: $(STAMP)  ## releases among killed and frozen processes and failing links: N rounds, SEED=... for the same again
	$(BIN)/python -m tests.chaos --rounds $(or $(N),10) $(if $(SEED),--seed $(SEED)) $(if $(FIRST),--first $(FIRST))

schedules: $(STAMP)  ## N random lives of a Rollout that nobody has played before, or from SEED=... on
	TIDEGATE_SCHEDULES=$(or $(N),1000) $(if $(SEED),TIDEGATE_SEED=$(SEED)) $(BIN)/pytest tests/laws/test_releases.py -k new

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

COMPILE = .venv-lock/bin/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
  --python-version 3.11

lock: $(STAMP)  ## write the locks again: of everything, of what the image runs, and of what builds the image
	$(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet uv
	$(COMPILE) --upgrade --all-extras pyproject.toml -o requirements.lock
	$(COMPILE) --upgrade --constraint requirements.lock pyproject.toml -o requirements.runtime.lock
	printf '%s\n' cyclonedx-bom hatchling pip | $(COMPILE) --constraint requirements.lock - -o requirements.build.lock
	rm -rf .venv-lock

client-lock: $(STAMP)  ## what a pipeline installs: the wheel of this version and all that it stands on, each with its hash
	rm -rf dist && $(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	$(BIN)/python -c 'import hashlib, pathlib; [w] = pathlib.Path("dist").glob("tidegate-*.whl"); lock = pathlib.Path("requirements.runtime.lock").read_text(); print(f"{lock}tidegate==" + w.name.split("-")[1], "--hash=sha256:" + hashlib.sha256(w.read_bytes()).hexdigest())' >dist/tidegate.lock

audit: $(STAMP)  ## known advisories for what the image holds
	$(BIN)/pip-audit --strict --disable-pip --requirement requirements.runtime.lock

clean:
	rm -rf $(VENV) .tidegate .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
