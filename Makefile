# Two commands matter: `make run` serves on the embedded PostgreSQL, `make test` checks everything.
.DEFAULT_GOAL := help
.PHONY: help install run test lint format typecheck contracts audit unit lock clean

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --no-emit-index-url \
	--generate-hashes --quiet --custom-compile-command 'make lock'

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## Install everything into .venv

$(VENV)/.installed: requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: install ## Start the server on port 3001 with its own PostgreSQL
	@exec $(BIN)/license-server serve

test: install lint typecheck contracts audit unit ## Lint, types, import contracts, dependency audit and all tests

lint: install ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: install ## Mend style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

typecheck: install ## Check types (strict)
	$(BIN)/mypy

contracts: install ## Check that imports only go down the stairs
	$(BIN)/lint-imports

audit: install ## Ask the registry for known vulnerabilities of what is installed
	bash scripts/audit

unit: install ## Run the tests, one process a core
	$(BIN)/python -m pytest --numprocesses auto

lock: install ## Resolve the dependencies anew into the lock files
	$(BIN)/python -m pip install --quiet uv
	$(COMPILE) --upgrade --output-file requirements.lock
	$(COMPILE) --upgrade --constraint requirements.lock --group dev --output-file requirements-dev.lock

clean: ## Remove the environment and caches, never the data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
