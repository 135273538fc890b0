# Each target sets itself up first: a .venv from requirements.lock, then the project itself, editable.
PYTHON ?= python3
UPGRADE ?=
FRESH ?=
PROVE_SEED ?=
DRILL ?=
SLOW ?=
# More than cores: tests also wait, for syncs, processes and servers.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 2)')
BIN := .venv/bin
# A worker that crashed is not replaced: pytest-xdist would give the next one the same test again, without end.
SPREAD := --dist loadfile --no-loadscope-reorder --max-worker-restart 0
MAKEFLAGS += --no-print-directory

ifdef PYTHONDONTWRITEBYTECODE
# Tests start hundreds of processes, and each would compile every module: bytecode is kept, but not in the checkout.
test slow prove drill influx collect: export PYTHONDONTWRITEBYTECODE :=
test slow prove drill influx collect: export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/bytecode
endif

.DEFAULT_GOAL := help
.PHONY: help demo collect test slow prove drill lint influx package notebooks pages docs bench up down demo-stack lock clean .desk

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.installed  ## play a trading day: append, kill, recover, look back, verify, tamper
	@$(BIN)/eventstore demo

test: .venv/.installed  ## run the tests on all cores, with coverage; SLOW=1 also runs those that take long, `make slow` only those
	@$(BIN)/python -m tests.influx.servers
	@echo "test: pytest on all cores, with coverage"
	@$(BIN)/pytest -n $(WORKERS) $(SPREAD) --cov $(if $(SLOW),-m "not install and not service and not systemd and not image")

slow: .venv/.installed  ## run the tests that `make test` leaves out for their time: whole days, real data, kills
	@$(BIN)/python -m tests.influx.servers
	@echo "slow: pytest -m slow"
	@$(BIN)/pytest -n $(WORKERS) $(SPREAD) -m "slow and not install and not service and not systemd and not image"

prove: .venv/.installed  ## run the long random tests in full: prints seeds, resumable; FRESH=1 starts over
	@echo "prove: long random tests on all cores; PROVE_SEED=N runs one seed alone"
	@$(if $(FRESH),rm -rf .prove)
	@PROVE=1 $(BIN)/pytest -n auto --dist worksteal -m prove -o faulthandler_timeout=14400
	@$(if $(PROVE_SEED),,rm -rf .prove)  # all have passed: the next run starts over

drill: .venv/.installed  ## fail a log in PostgreSQL over, again and again; DRILL="--events N --kills K --seed N"
	@echo "drill: 60,000 events, 3 fail-overs, kills and cut connections; about a minute"
	@$(BIN)/python -m tests.postgres.drill $(DRILL)

collect: .venv/.installed  ## collect all tests, which compiles them for those that run them next
	@echo "collect: pytest --collect-only"
	@$(BIN)/pytest --quiet --collect-only -m "" >/dev/null

lint: .venv/.installed  ## check style, format, types and import directions
	@echo "lint: ruff, mypy, import-linter"
	@$(BIN)/ruff check --quiet --output-format concise .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

influx: .venv/.installed  ## run only the InfluxDB tests; INFLUXDB_IMAGE=influxdb:2.7 runs them on that image
	@$(BIN)/python -m tests.influx.servers
	@$(BIN)/pytest -n $(WORKERS) $(SPREAD) -m "" tests/influx

package: .venv/.installed  ## build the distributions; install them, and the lock, in empty environments
	@echo "package: pytest -m install"
	@$(BIN)/pytest --quiet -n auto -m install -o faulthandler_timeout=900 tests/install

notebooks: .venv/.installed  ## open JupyterLab with the notebooks
	@$(BIN)/jupyter lab --notebook-dir notebooks

pages: .venv/.installed  ## run the notebooks, and write docs/notebooks and the README's picture
	@echo "pages: a kernel for each notebook, on the demo's day"
	@$(BIN)/python notebooks/pages.py

docs: .venv/.installed  ## build the documentation as a site, in build/site
	@echo "docs: mkdocs, every link checked: build/site/index.html"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: .venv/.installed  ## measure each figure with its baseline
	@$(BIN)/eventstore bench

up: .desk  ## start service, policies, mirror, InfluxDB, Prometheus and Grafana, as compose/.env says
	@docker compose --file compose/compose.yaml up --build --detach --wait

down: .desk  ## stop them; their data is kept
	@docker compose --file compose/compose.yaml down

demo-stack: .desk  ## start them on the demo's trading day, played into an empty log
	@docker compose --file compose/compose.yaml build demo
	@docker compose --file compose/compose.yaml run --rm --no-deps demo
	@$(MAKE) up

.desk:
	@docker compose version >/dev/null 2>&1 || { \
	  echo "$(MAKECMDGOALS): docker compose not found: install Docker" >&2; exit 1; }
	@test -f compose/.env || { \
	  echo "$(MAKECMDGOALS): compose/.env not found: cp compose/.env.example compose/.env, and fill in the empty values" >&2; \
	  exit 1; }

lock:  ## pin versions and hashes again from pyproject.toml; UPGRADE=1 takes the newest
	@echo "lock: resolving pyproject.toml for every Python from 3.11 on"
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && \
	  $(PYTHON) -m venv "$$scratch" && "$$scratch/bin/pip" install --quiet uv && \
	  "$$scratch/bin/uv" pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	    --all-extras --group dev --group bench --group build --group docs --group notebooks --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	    $(if $(UPGRADE),--upgrade) --output-file requirements.lock && \
	  "$$scratch/bin/uv" pip compile pyproject.toml --quiet --python-version 3.11 --extra analysis \
	    --resolution lowest-direct --only-binary :all: --generate-hashes --no-emit-index-url --no-emit-find-links \
	    --custom-compile-command "make lock" --output-file tests/install/oldest.lock

clean:  ## remove the .venv, caches and reports
	@rm -rf .venv .prove .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.* \
	  build dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.locked: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "set-up: $(PYTHON) is older than Python 3.11, or not found: try make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "set-up: $(PYTHON) cannot create a virtual environment: on Debian, apt-get install python3-venv" >&2; exit 1; }
	@echo "set-up: installing what requirements.lock pins into .venv (under a minute, once)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes --requirement requirements.lock
	@touch $@

.venv/.installed: pyproject.toml .venv/.locked
	@echo "set-up: installing the project, editable"
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/pip check --disable-pip-version-check >/dev/null || $(BIN)/pip check --disable-pip-version-check
	@touch $@
