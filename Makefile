# Every target prepares what it needs: Python 3.11 or newer, make and git are enough.
PYTHON ?= python3
SHELL  := /bin/bash
DEV    := .venv
DEMO   := .venv-demo
# Many tests wait for real processes, so there are more test processes than cores.
JOBS   ?= $(shell $(PYTHON) -c 'import os; print(3 * min(os.cpu_count() or 1, 6))')
# Outages are sensitive to a busy machine.
LONG_JOBS ?= $(shell $(PYTHON) -c 'import os; print(2 * min(os.cpu_count() or 1, 8) + 1)')
FUZZ   := .venv-fuzz
AUDIT  := .venv-audit
SITE   := .venv-site
LOWEST := .venv-lowest
# For all targets together.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS := recipients_file envelope error_body command

.PHONY: help oncall demo docs test test-long newcomer test-lowest test-matrix smoke smoke-lowest pacing mutants check chaos afternoon probe-test web-test upgrade-test fuzz bench bench-smoke bench-parts image-size audit screens format lock clean
.DEFAULT_GOAL := help

# Keep compiled modules, even if the environment turns bytecode off.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(CURDIR)/build/bytecode

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# $(call environment,DIRECTORY,REQUIREMENTS): a virtual environment with the packages of the hash-pinned file, and an editable Gatepost.
# uv installs them. If uv cannot reach an index that pip is configured for, pip does. Options of pip's configuration for other
# directories or versions are ignored.
define environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Gatepost needs Python 3.11 or newer, and $(PYTHON) is older or missing. Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@echo "Preparing a virtual environment in $(1) (once) ..."
	@$(1)/bin/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear $(1)
	@unset PIP_TARGET PIP_PREFIX PIP_ROOT PYTHONPATH; \
	export PIP_USER=0 PIP_CONSTRAINT=/dev/null PIP_NO_BINARY=:none: PIP_DISABLE_PIP_VERSION_CHECK=1; \
	set -e; pip="$(1)/bin/python -m pip install --quiet"; uv="$(1)/bin/uv pip install --quiet --python $(1)/bin/python"; \
	$$pip --require-hashes -r requirements/uv.txt; \
	$$uv --require-hashes -r $(2) || $$pip --require-hashes -r $(2); \
	$$uv --no-deps --no-build-isolation --editable . || $$pip --no-deps --no-build-isolation --editable .
	@touch $(1)/.ready
endef

$(DEV)/.ready: requirements/uv.txt requirements/dev.txt pyproject.toml
	$(call environment,$(DEV),requirements/dev.txt)

$(DEMO)/.ready: requirements/uv.txt requirements/run.txt pyproject.toml
	$(call environment,$(DEMO),requirements/run.txt)

demo: $(DEMO)/.ready ## Run the main job: embedded Valkey, local simulator, real workers
	@$(DEMO)/bin/gatepost demo

test: $(DEV)/.ready ## Run the unit, integration and acceptance tests; about six minutes on two cores
	@$(DEV)/bin/python -m pytest -n $(JOBS) -m "not long"

test-long: $(DEV)/.ready ## Run the rest: whole deployments, brokers, outages, browsers and type checkers; about six minutes
	@$(DEV)/bin/python -m pytest -n $(LONG_JOBS) -m long

$(LOWEST)/.ready: requirements/uv.txt requirements/lowest.txt pyproject.toml
	$(call environment,$(LOWEST),requirements/lowest.txt)

test-lowest: $(LOWEST)/.ready ## Run the same tests on the lowest versions that pyproject.toml allows
	@$(LOWEST)/bin/python -m pytest -n $(JOBS)

$(SITE)/.ready: requirements/uv.txt requirements/docs.txt pyproject.toml
	$(call environment,$(SITE),requirements/docs.txt)

docs: $(SITE)/.ready ## Build the documentation as a site in build/docs
	@$(SITE)/bin/sphinx-build -q -W --keep-going -E -d build/docs-cache -c docs . build/docs
	@echo "Open build/docs/index.html"

newcomer: $(DEV)/.ready ## Follow the tutorial and the examples on a fresh clone, typing what the pages say; about a minute
	@PYTHONPATH=tests $(DEV)/bin/python tests/newcomer.py

smoke: $(DEMO)/.ready ## Import every module and run every command once
	@$(DEMO)/bin/python tests/smoke.py

smoke-lowest: $(LOWEST)/.ready ## The same on the lowest versions
	@$(LOWEST)/bin/python tests/smoke.py

test-matrix: ## Run the tests on every Python found, with the lowest and the newest versions; about half an hour each
	@.ci/test-matrix

pacing: $(DEV)/.ready ## Measure the share of a quota that campaigns use, with real workers; a quarter of an hour
	@$(DEV)/bin/python benchmarks/pacing.py

mutants: $(DEV)/.ready ## Break the rules that carry the promises, one by one; the tests must notice. At most a quarter of an hour
	@$(DEV)/bin/python tests/mutants.py $(MUTANTS)

chaos: $(DEV)/.ready ## Inject faults into real processes for about half an hour (make test-long has the short version)
	@$(DEV)/bin/python -m pytest tests/chaos -m "chaos or chaos_long"

afternoon: $(DEV)/.ready ## Send to a file of 20,000 recipients in a terminal of 80 columns, from check to erase; about two minutes
	@$(DEV)/bin/python -m pytest tests/acceptance/campaign_cli/test_whole_afternoon.py -m afternoon

probe-test: $(DEV)/.ready ## Probe logins with Debian's Dovecot, through six faults; about four minutes. It fetches the packages with apt-get
	@$(DEV)/bin/python -m pytest tests/acceptance/operations/test_login_probe_with_dovecot.py -m dovecot

web-test: $(DEV)/.ready ## Use the console in a browser, with much data and failures, and generate requests for the HTTP API; three minutes
	@$(DEV)/bin/python -m pytest tests/acceptance/console tests/acceptance/web -m web

upgrade-test: $(DEV)/.ready ## Run the previous version beside this one on one Redis; about two minutes
	@$(DEV)/bin/python -m pytest tests/acceptance/upgrade -m upgrade

oncall: $(DEV)/.ready ## Inject faults into a running fleet; alerts find them, the runbook repairs them. A quarter of an hour at most
	@$(DEV)/bin/python -m pytest tests/acceptance/oncall -m oncall -s

check: $(DEV)/.ready ## Lint, format, types and import rules
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports

$(FUZZ)/.ready: requirements/uv.txt requirements/fuzz.txt pyproject.toml
	$(call environment,$(FUZZ),requirements/fuzz.txt)

fuzz: $(FUZZ)/.ready ## Fuzz the parsers for a minute, or FUZZ_SECONDS=600 (Linux)
	@for target in $(FUZZ_TARGETS); do \
		found=build/fuzz/$$target; mkdir -p $$found; echo "Fuzzing $$target ..."; \
		$(FUZZ)/bin/python fuzz/fuzz_run.py $$target -max_total_time=$$(( $(FUZZ_SECONDS) / $(words $(FUZZ_TARGETS)) )) \
			-max_len=4096 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix=$$found/ \
			$$found fuzz/corpus/$$target > $$found.log 2>&1 || { tail -n 40 $$found.log; exit 1; }; \
		grep -E 'executed_units|new_units_added' $$found.log; \
	done

bench: $(DEV)/.ready ## Measure beside other task queues, and write the report; 45 minutes. BENCH="--half": about 20
	@$(DEV)/bin/python benchmarks/bench.py $(BENCH)

bench-smoke: $(DEV)/.ready ## A minute of it. Fails when something breaks, never on a timing
	@$(DEV)/bin/python benchmarks/bench.py --smoke

bench-parts: $(DEV)/.ready ## Measure parts alone: files, installation, client, simulator, memory, limiter, logins beside a campaign, HTTP API
	@set -e; for name in rows install_size authentication_client simulator_throughput campaign_memory limiter_simulation login_latency web_api; do \
		echo "== $$name"; $(DEV)/bin/python benchmarks/$$name.py; \
	done

image-size: $(DEV)/.ready ## Carry out the package commands of the Dockerfile, and measure what they install; needs a package index
	@$(DEV)/bin/python benchmarks/image_size.py

$(AUDIT)/.ready: requirements/uv.txt requirements/audit.txt pyproject.toml
	$(call environment,$(AUDIT),requirements/audit.txt)

# --strict fails if the service gives no answer for a package.
audit: $(AUDIT)/.ready ## Ask PyPI for known vulnerabilities of every pinned package; needs the network
	@$(AUDIT)/bin/pip-audit --strict --require-hashes --disable-pip $(addprefix -r ,$(wildcard requirements/*.txt))

screens: $(DEV)/.ready ## Draw the screens that the documentation shows
	@$(DEV)/bin/python tests/support/campaign_screens.py

format: $(DEV)/.ready ## Format the code and apply the safe fixes
	$(DEV)/bin/ruff check --fix-only --quiet .
	$(DEV)/bin/ruff format .

lock: $(DEV)/.ready ## Renew the hash-pinned requirements
	@compile="$(DEV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate"; \
	$$compile pyproject.toml --extra all --group build -o requirements/run.txt; \
	$$compile pyproject.toml --extra all --group build --group dev -o requirements/dev.txt; \
	$$compile pyproject.toml --extra worker --extra cli --extra xlsx --extra metrics --extra web --extra webhooks -c requirements/dev.txt -o requirements/image.txt; \
	$$compile pyproject.toml --extra worker --extra cli --extra simulator -c requirements/dev.txt -o requirements/image-demo.txt; \
	$$compile --group build -c requirements/dev.txt -o requirements/build.txt; \
	$$compile pyproject.toml --extra all --group build --group dev --resolution lowest-direct -o requirements/lowest.txt; \
	$$compile pyproject.toml --extra all --group build --group fuzz -o requirements/fuzz.txt; \
	$$compile pyproject.toml --extra all --group build --group docs -c requirements/dev.txt -o requirements/docs.txt; \
	$$compile pyproject.toml --group build --group audit -o requirements/audit.txt; \
	echo uv | $$compile - -o requirements/uv.txt; \
	peer() { printf '%s\n' "$${@:2}" | $$compile - -o benchmarks/peers/$$1.txt; }; \
	peer usual 'celery[redis]' auth0-python; peer tuned 'celery[redis]' requests; peer taskiq taskiq taskiq-redis aiohttp; \
	peer dramatiq 'dramatiq[redis]' requests; peer saq 'saq[hiredis]' redis aiohttp

clean: ## Remove the files that the other targets made
	rm -rf $(DEV) $(DEMO) $(FUZZ) $(AUDIT) $(SITE) $(LOWEST) .venv-matrix build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
