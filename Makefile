# `make demo` shows what genrec does; `make test` is what CI runs. Both make .venv and install into it first.

PYTHON ?= python3
DATA ?= synthetic
OUT ?= runs/demo
JOBS ?= 2

BIN := .venv/bin
INSTALLED := .venv/installed
INSTALLED_DEV := .venv/installed-dev

# The models here are small: more threads than one make a test slower, and its numbers depend on their count.
test test-slow: export OMP_NUM_THREADS := 1
test test-slow: export POLARS_MAX_THREADS := 1

.PHONY: demo results errors test test-slow lint format clean

demo: $(INSTALLED)
	$(BIN)/genrec demo --data $(DATA) --out $(OUT)

results: $(INSTALLED)
	$(BIN)/python benchmarks/results.py

errors: $(INSTALLED)
	$(BIN)/python docs/errors.py

test: lint
	$(BIN)/pytest -n $(JOBS)

test-slow: $(INSTALLED_DEV)
	$(BIN)/pytest -m slow

lint: $(INSTALLED_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED_DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet -c constraints.txt -e .
	touch $@

$(INSTALLED_DEV): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $(INSTALLED) $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "genrec needs Python 3.11 or newer, and $(PYTHON) is older or missing: name one, as in make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
