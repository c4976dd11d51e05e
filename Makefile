# Every target sets up .venv by itself; `make help` lists them.

BIN := .venv/bin
export PYTHON
# Files stay whole, for their servers and models are made once for each file. They begin in the order
# of tests/conftest.py, the longest first.
PARALLEL := -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup demo test quick lint bench corpus soak clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' Makefile

setup: ## .venv with mayak and its tools (the others run it first)
	@scripts/setup.sh

demo: setup ## the whole pipeline on synthetic images, into demo/
	@$(BIN)/mayak demo

test: setup ## all tests, in up to four processes
	@$(BIN)/python -m pytest $(PARALLEL)

quick: setup ## without the slow files, while working
	@$(BIN)/python -m pytest $(PARALLEL) --quick

lint: setup ## style, words, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell src tests docs benchmarks scripts *.md Makefile pyproject.toml
	$(BIN)/python scripts/check_words.py
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup ## images a second on this machine, with the embedded model
	@$(BIN)/python benchmarks/nano.py

corpus: setup ## Pillow's test images through triage, every file accounted for (46 MB by pip)
	@$(BIN)/python benchmarks/corpus.py

soak: setup ## random kills, damaged cases, flipped bytes for SECONDS (1800), continued, from SEED (7)
	@$(BIN)/python benchmarks/soak.py --seconds $(or $(SECONDS),1800) --seed $(or $(SEED),7)

clean: ## remove caches, builds and the demo's folder
	rm -rf demo build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
