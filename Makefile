# Everything a fresh clone needs: Python 3.11 or newer, git and make.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup run demo test unit check format bench screenshots lock clean

help: ## Say what there is
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## Make .venv with everything in it

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Homerun needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Set PYTHON=python3.11, say.")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

run: setup ## Open Homerun
	@$(BIN)/homerun

demo: setup ## Open Homerun on a throw-away home with sample applications
	@$(BIN)/homerun demo

unit: setup ## The quick tests
	$(BIN)/pytest -q -n 2 -m "not slow and not docker"

test: setup ## All tests
	$(BIN)/pytest -q -n 2 --dist worksteal

check: setup ## Format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## Every benchmark, one after the other
	@for bench in tests/benchmarks/bench_*.py; do echo "== $$bench"; $(BIN)/python $$bench || exit 1; done

screenshots: setup ## SVGs of the demo for the README
	$(BIN)/python -m tui.demo.screenshots screenshots

lock: setup ## Pin every dependency anew
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links --group dev pyproject.toml -o requirements.lock

clean: ## Remove what setup and the tools made
	rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache .hypothesis
