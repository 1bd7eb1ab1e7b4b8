# Every target prepares what it needs: Python 3.11 or newer, make and git are enough.
PYTHON ?= python3
SHELL  := /bin/bash
DEV    := .venv
DEMO   := .venv-demo

.PHONY: help demo test check format lock clean
.DEFAULT_GOAL := help

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

# A virtual environment holds uv, and exactly what the hash-pinned requirements name.
$(DEV)/.ready: requirements/uv.txt requirements/dev.txt pyproject.toml
	@test -x $(DEV)/bin/python || $(PYTHON) -m venv $(DEV)
	@$(DEV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@VIRTUAL_ENV=$(DEV) $(DEV)/bin/uv pip install --quiet --require-hashes -r requirements/dev.txt
	@VIRTUAL_ENV=$(DEV) $(DEV)/bin/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(DEMO)/.ready: requirements/uv.txt requirements/run.txt pyproject.toml
	@echo "Preparing a virtual environment in $(DEMO) (once) ..."
	@test -x $(DEMO)/bin/python || $(PYTHON) -m venv $(DEMO)
	@$(DEMO)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@VIRTUAL_ENV=$(DEMO) $(DEMO)/bin/uv pip install --quiet --require-hashes -r requirements/run.txt
	@VIRTUAL_ENV=$(DEMO) $(DEMO)/bin/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(DEMO)/.ready ## Run the main job: embedded Valkey, local simulator, real workers
	@$(DEMO)/bin/gatepost demo

test: $(DEV)/.ready ## Run the unit, integration and acceptance tests
	@$(DEV)/bin/python -m pytest

check: $(DEV)/.ready ## Lint, format, types and import rules
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy
	$(DEV)/bin/lint-imports

format: $(DEV)/.ready ## Format the code and apply the safe fixes
	$(DEV)/bin/ruff check --fix-only --quiet .
	$(DEV)/bin/ruff format .

lock: $(DEV)/.ready ## Renew the hash-pinned requirements
	@compile="$(DEV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate"; \
	$$compile pyproject.toml --extra all --group build -o requirements/run.txt; \
	$$compile pyproject.toml --extra all --group build --group dev -o requirements/dev.txt; \
	echo uv | $$compile - -o requirements/uv.txt

clean: ## Remove what the other targets made
	rm -rf $(DEV) $(DEMO) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
