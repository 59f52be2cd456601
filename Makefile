SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup demo up down status test test-unit test-e2e test-incidents lint format doctor soak soak-kill bench kubernetes engine engine-down images clean

VENV := .venv
AIRBED := $(VENV)/bin/airbed
READY := $(VENV)/.ready
N ?= 2
# What beds are on: embedded (plain processes) or compose (containers and a kind cluster); make demo ON=compose.
ON ?=
export AIRBED_ON := $(or $(ON),$(AIRBED_ON))

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml scripts/setup
	@scripts/setup $(VENV)

setup: $(READY) ## make .venv from the hash-pinned lock

demo: $(READY) ## bring a bed up and run the six patterns on it, clean and with partial failures
	@$(AIRBED) demo

up: $(READY) ## bring the bed up
	@$(AIRBED) up

down: $(READY) ## delete the bed and prove that nothing is left
	@$(AIRBED) down

status: $(READY) ## show every service of the bed
	@$(AIRBED) status

test: lint test-unit test-e2e ## lint, types, unit tests, integration tests on beds of their own

test-unit: $(READY) ## unit tests: no services, seconds
	@$(VENV)/bin/pytest tests/unit -q -n $(N)

E2E := $(VENV)/bin/pytest -q -n $(N) --dist loadfile --no-loadscope-reorder
INCIDENTS := tests/integration/incidents tests/integration/test_incidents.py

test-e2e: $(READY) ## integration tests, N workers (N=2), each with a bed of its own; JUnit XML in reports/
	@mkdir -p reports
	@$(E2E) tests/integration $(INCIDENTS:%=--ignore=%) --junit-xml=reports/integration.xml

test-incidents: $(READY) ## every incident as its file says, and otherwise without its fault
	@mkdir -p reports
	@$(E2E) $(INCIDENTS) --junit-xml=reports/incidents.xml

lint: $(READY) ## ruff and mypy
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

format: $(READY) ## format the code
	@$(VENV)/bin/ruff check --fix -q .
	@$(VENV)/bin/ruff format .

doctor: $(READY) ## what this machine has, lacks, and what to do about it
	@$(AIRBED) doctor

soak: $(READY) ## play every incident TIMES times (20), half under load, on BEDS beds (2) at once; RESUME=1 goes on, MINUTES=60 ends in time
	@$(VENV)/bin/python -m airbed.incidents.soak --times $(or $(TIMES),20) --beds $(or $(BEDS),2) $(if $(RESUME),--resume) $(if $(MINUTES),--minutes $(MINUTES))

soak-kill: $(READY) ## kill -9 parts, ups, keepers and pytest at seeded random moments (ROUNDS=10, SEED=1)
	@$(VENV)/bin/python -m airbed.soak --rounds $(or $(ROUNDS),10) --seed $(or $(SEED),1)

bench: $(READY) ## what a bed costs: start, memory, fan-out (AGAINST="standalone dag-test", ROUNDS=3, PARTS="up fanout")
	@$(AIRBED) bench $(PARTS) $(AGAINST:%=--against %) $(if $(ROUNDS),--rounds $(ROUNDS))

kubernetes: $(READY) ## build the Kubernetes tools into the cache (once a machine, many minutes of CPU)
	@$(VENV)/bin/python -m airbed.kubernetes.build

engine: ## bring a Docker engine up where there is none, from Debian's packages (root)
	@scripts/engine up

engine-down: ## end that engine: no process, mount, network or firewall rule stays
	@scripts/engine down

images: $(READY) ## public images, or stand-ins built here where none can be pulled
	@scripts/images

clean: ## take all beds down; delete .venv, reports and the caches of airbed (snapshots stay)
	@if [ -x $(AIRBED) ]; then $(AIRBED) down --all && $(AIRBED) cache rm; fi
	@rm -rf $(VENV) reports .mypy_cache .ruff_cache .pytest_cache .hypothesis
