# Everything runs in .venv; `make demo` and `make test` set it up on a fresh machine (Python 3.11 to 3.13).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# One thread per process: tests run side by side, and tiny models gain nothing from a second one.
ENV := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1

.PHONY: install demo test test-all check format clean

install: $(INSTALLED)

# torch goes first and alone: with the pinned version in place nothing else pulls a build of several gigabytes.
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,dev]'
	touch $(INSTALLED)

demo: install
	$(ENV) $(BIN)/iterpref demo --run runs/demo

test: install
	$(ENV) $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not gpu"

test-all: install
	$(ENV) $(BIN)/python -m pytest -n 2 --dist loadfile -m "not gpu"

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
