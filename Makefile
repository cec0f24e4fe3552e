# `make demo` runs the main job on the example workspace, `make test` runs the tests. Each sets up what it needs.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO ?= demo-workspace

# A machine without a `python3.11` on its path may still have it as `python3`.
ifeq (,$(shell command -v $(PYTHON) 2>/dev/null))
PYTHON := python3
endif

.DEFAULT_GOAL := help
.PHONY: help install demo serve test test-fast check fix docs bench clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

install: $(STAMP) ## make the virtual environment and install everything into it

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Steelyard needs Python 3.11 or newer; set PYTHON=/path/to/python"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (once; a few minutes) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@# torch first and pinned: otherwise another package may bring a build with several gigabytes of CUDA
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[train,serve,generate,lora,dev]'
	@touch $(STAMP)

demo: $(STAMP) ## lay out the example workspace and weigh it
	@$(BIN)/steelyard demo $(DEMO)

serve: $(STAMP) ## serve the demo workspace at http://127.0.0.1:8642
	@test -d $(DEMO)/.steelyard || $(BIN)/steelyard demo $(DEMO)
	@$(BIN)/steelyard -w $(DEMO) serve

test: $(STAMP) ## run all tests
	@$(BIN)/python -m pytest -n auto --dist loadgroup

test-fast: $(STAMP) ## run the tests that take under a minute together
	@$(BIN)/python -m pytest -n auto --dist loadgroup -m 'not slow'

check: $(STAMP) ## formatting, lint, types, the floors
	@$(BIN)/ruff format --check src tests scripts
	@$(BIN)/ruff check src tests scripts
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fix: $(STAMP) ## format and mend what can be mended
	@$(BIN)/ruff format src tests scripts
	@$(BIN)/ruff check --fix src tests scripts

docs: $(STAMP) ## regenerate the generated pages of the docs
	@$(BIN)/python scripts/make_docs.py

bench: $(STAMP) ## run every benchmark that has its data here
	@$(BIN)/steelyard bench all

clean: ## remove the virtual environment and the demo workspace
	rm -rf $(VENV) $(DEMO)
