# Everything a person types: demo, stack-demo, test, lint, infra-check, bench. Each target makes the virtual environment by itself.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
SEASON ?= 2023-24
HOME_DIR ?= .phasegate
# The newest interpreter that can make a virtual environment; 3.11 is the oldest supported.
PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)

# The stand-in for BigQuery needs Python 3.13 and an environment of its own.
BIGQUERY := $(VENV)/bigquery-emulator
BIGQUERY_NEEDS := shared/stack/bigquery-emulator.txt
PYTHON313 = $(shell for p in python3.13 "$$(pyenv root 2>/dev/null)"/versions/3.13.*/bin/python3.13; do \
	"$$p" -c 'import venv, ensurepip' >/dev/null 2>&1 && echo "$$p" && break; done)

# What scans the Terraform configuration, in an environment of its own: it pins what the product leaves open.
CHECKOV := $(VENV)/checkov

.PHONY: demo stack-demo emulators axe test tests lint infra-check bench lock audit sbom clean

$(VENV)/.installed: requirements.txt requirements-dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed (Debian: apt-get install python3-venv)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(VENV)/.installed
ifdef SOURCE
	$(BIN)/phasegate --home $(HOME_DIR) run --source $(SOURCE) --season $(SEASON)
else
	$(BIN)/phasegate sample $(HOME_DIR)/sample --season $(SEASON)
	@echo "No SOURCE was given: the league in $(HOME_DIR)/sample is made up." >&2
	$(BIN)/phasegate --home $(HOME_DIR) run --source $(HOME_DIR)/sample --season $(SEASON)
endif

# Two weeks on the local stack, begun as one begins a run on Google Cloud.
stack-demo: emulators
ifndef SOURCE
	$(BIN)/phasegate sample $(HOME_DIR)/sample --season $(SEASON)
	@echo "No SOURCE was given: the league in $(HOME_DIR)/sample is made up." >&2
endif
	PHASEGATE="$(BIN)/phasegate --home $(HOME_DIR)" bash shared/stack/demo.sh $(or $(SOURCE),$(HOME_DIR)/sample)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Never fails: says what is not there, and that its tests are skipped.
emulators: $(VENV)/.installed
	@test $(BIGQUERY)/.installed -nt $(BIGQUERY_NEEDS) || { test -n "$(PYTHON313)" && \
	"$(PYTHON313)" -m venv $(BIGQUERY) && \
	$(BIGQUERY)/bin/python -m pip install --quiet --disable-pip-version-check -r $(BIGQUERY_NEEDS) && \
	HOME="$(CURDIR)/$(BIGQUERY)" $(BIGQUERY)/bin/python -c \
		"import duckdb_extensions as d; [d.import_extension(name) for name in ('ducklake', 'icu', 'spatial')]" && \
	touch $(BIGQUERY)/.installed; } || true
	@$(BIN)/python -m shared.stack.emulators || true

# What the test of the report's page measures with; without npm or network that test is skipped.
axe: $(VENV)/.installed
	@test -e $(VENV)/axe/node_modules/axe-core/axe.min.js || \
	npm install --silent --no-audit --no-fund --prefix $(VENV)/axe axe-core@4.10 || \
	echo "axe-core could not be installed (npm and the network are needed); its test is skipped"

test: lint tests

# The tests open and close thousands of small databases: in memory where there is room (they need less than 1 GB).
# They start hundreds of processes, which read the compiled files that the first of them writes, whatever the shell says.
# Three at once, for two cores: those that run a stack wait for it much of their time.
tests: emulators axe
	@room=$$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1); \
	if [ "$${room:-0}" -gt 4000000 ]; then \
		export TMPDIR=$$(mktemp -d -p /dev/shm phasegate.XXXXXX); trap 'rm -rf "$$TMPDIR"' EXIT; fi; \
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 3 --no-loadscope-reorder

# The Terraform configuration, with no cloud at hand; TFCHECK=PATH where the Terraform registry cannot be reached.
infra-check: $(CHECKOV)/.installed
	@TFCHECK="$(TFCHECK)" CHECKOV="$(CHECKOV)/bin/checkov" infra/check

$(CHECKOV)/.installed: infra/checkov.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed (Debian: apt-get install python3-venv)"; exit 2; }
	$(PYTHON) -m venv $(CHECKOV)
	$(CHECKOV)/bin/python -m pip install --quiet --disable-pip-version-check -r infra/checkov.txt
	@touch $@

DELIVERY := $(VENV)/delivery
LOCKED := $(VENV)/locked

$(DELIVERY)/.installed: requirements-delivery.txt $(VENV)/.installed
	$(PYTHON) -m venv $(DELIVERY)
	$(DELIVERY)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-delivery.txt
	@touch $@

# Exactly what is deployed, and nothing else; fails when a hash is wrong or a package is missing.
$(LOCKED)/.installed: requirements.lock $(VENV)/.installed
	$(PYTHON) -m venv --clear $(LOCKED)
	$(LOCKED)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(LOCKED)/bin/python -m pip check
	@touch $@

# The lock's versions stay where requirements.txt still allows them; `make lock UPGRADE=--upgrade` takes the newest.
lock: $(DELIVERY)/.installed
	$(DELIVERY)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command 'make lock' $(UPGRADE) requirements.txt -o requirements.lock

# Known vulnerabilities of what is deployed. Also fails when the database of them cannot be asked.
audit: $(DELIVERY)/.installed
	$(DELIVERY)/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements.lock

# What is deployed, by version and licence; fails for a licence that binds whoever passes the work on.
sbom: $(LOCKED)/.installed $(DELIVERY)/.installed
	@mkdir -p build
	$(DELIVERY)/bin/cyclonedx-py environment $(LOCKED)/bin/python --of JSON \
		--output-reproducible -o build/sbom.cdx.json
	$(DELIVERY)/bin/pip-licenses --python $(LOCKED)/bin/python --format markdown --with-urls --partial-match \
		--ignore-packages pip setuptools --fail-on 'AGPL;GNU General;GPL-2;GPL-3;SSPL;BUSL' --output-file build/licences.md

bench: $(VENV)/.installed
	$(BIN)/python -m bench

clean:
	rm -rf $(VENV) .phasegate build *.egg-info
