# `make help` lists what there is to make. Everything but `clean` makes .venv and installs into it first.

PYTHON ?= python3
DATA ?= synthetic
OUT ?= runs/demo
JOBS ?= 2
K ?=

BIN := .venv/bin
INSTALLED := .venv/installed
INSTALLED_DEV := .venv/installed-dev

# The models here are small: more threads than one make a test slower, and its numbers depend on their count.
test test-slow: export OMP_NUM_THREADS := 1
test test-slow: export POLARS_MAX_THREADS := 1

.PHONY: help demo results errors test test-slow lint style types format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## train on invented data, measure, recommend, write runs/demo/report.html (DATA=PATH OUT=DIR)
	$(BIN)/genrec demo --data $(DATA) --out $(OUT)

results: $(INSTALLED) ## write the tables of README.md and docs/ from results/
	$(BIN)/python benchmarks/results.py

errors: $(INSTALLED) ## write the tables of docs/errors.md
	$(BIN)/python docs/errors.py

# With K, ruff and the tests whose name, file or folder has that word, or one file: K=palr, K=tests/data/test_split.py.
test: $(if $(K),style,lint) ## lint, types and the fast tests on JOBS=2 processes; K=WORD or K=FILE: ruff and those tests
	$(BIN)/pytest $(if $(K),$(if $(findstring /,$(K)),'$(K)',-k '$(K)'),-n $(JOBS))

test-slow: $(INSTALLED_DEV) ## the slow tests
	$(BIN)/pytest -m slow

lint: style types ## ruff and mypy

style: $(INSTALLED_DEV) ## ruff: faults and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED_DEV) ## mypy
	$(BIN)/mypy

format: $(INSTALLED_DEV) ## let ruff mend and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove .venv, caches and builds
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing genrec and its libraries into .venv: minutes, and less where pip has them already"
	$(BIN)/pip install --quiet -c constraints.txt -e .
	touch $@

$(INSTALLED_DEV): pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $(INSTALLED) $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "genrec needs Python 3.11 or newer, and $(PYTHON) is older or missing: name one, as in make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
