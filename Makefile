# Everything runs in .venv; `make demo` and `make test` set it up on a fresh machine (Python 3.11 to 3.13).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DOCS_INSTALLED := $(VENV)/.docs-installed
# One thread per process: tests run side by side, and tiny models gain nothing from a second one.
ENV := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1

.PHONY: install demo test test-all check format docs clean real real-quick lab lab-quick lab-why lab-bases

install: $(INSTALLED)

# torch goes first and alone: with the pinned version in place nothing else pulls a build of several gigabytes.
$(INSTALLED): pyproject.toml constraints.txt
	@echo "Installing into $(VENV): some minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,serve,dev]'
	@touch $(INSTALLED)
	@echo "Installed. Next: make demo, or $(BIN)/iterpref --help"

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

# The documentation site, in site/; a broken link is an error. Its packages go beside the others when it is first built.
$(DOCS_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $(DOCS_INSTALLED)

docs: $(DOCS_INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The method on a real model (docs/real-models.md), at low priority; run again to go on. MODEL and MODEL2 are folders or hub
# ids of the 0.5B and the 1.5B; without MODEL2 its arm is left out. MBPP may name a file, WORK where runs are kept, SET further
# settings, as in SET="client.dtype=bfloat16 client.batch_size=128".
MODEL ?= Qwen/Qwen2.5-Coder-0.5B-Instruct
WORK ?= ../real-models-work
REAL = nice -n 19 $(BIN)/python -m benchmarks.real_models --model $(MODEL) --work $(WORK) \
	$(if $(MODEL2),--repairer $(MODEL2)) $(if $(MBPP),--mbpp $(MBPP)) $(foreach setting,$(SET),--set $(setting))

real: install
	$(REAL)

real-quick: install
	$(REAL) --quick

# Ways to train compared with many seeds (docs/results.md), at low priority; run again to go on. LAB_WORK keeps runs and records,
# and LAB takes further options, as LAB="--jobs 4 --from-published".
LAB_WORK ?= ../lab-work
LAB_RUN = $(ENV) nice -n 19 $(BIN)/python -m benchmarks.lab --work $(LAB_WORK) $(LAB)
LAB_BASES = benchmarks/lab/bases

lab: install
	$(LAB_RUN) rates pilot methods objects ablations teachers sizes longer retuned reuse variants \
		confirm

lab-quick: install
	$(LAB_RUN) quick

# Why the order is what it is: the models of eleven arms measured on five seeds.
lab-why: install
	$(ENV) nice -n 19 $(BIN)/python -m benchmarks.lab.reasons --work $(LAB_WORK) $(LAB)

# The bases beside the shipped coder, where they are missing: half an hour each.
lab-bases: install $(foreach base,steps-1 steps-2 steps-small-0 steps-large-0 objects-0 objects-1, \
		$(LAB_BASES)/$(base)/model.safetensors)

SIZE_small = --hidden 96 --intermediate 256
SIZE_large = --hidden 288 --layers 5 --heads 6 --intermediate 768
$(LAB_BASES)/steps-small-0/model.safetensors $(LAB_BASES)/steps-large-0/model.safetensors:
	$(ENV) nice -n 19 $(BIN)/python -m iterpref.playground.pretrain --output $(dir $@) --seed 0 --conversations 64000 \
		$(SIZE_$(patsubst steps-%-0,%,$(notdir $(patsubst %/,%,$(dir $@)))))

$(LAB_BASES)/steps-%/model.safetensors:
	$(ENV) nice -n 19 $(BIN)/python -m iterpref.playground.pretrain --output $(dir $@) --seed $*

$(LAB_BASES)/objects-%/model.safetensors:
	$(ENV) nice -n 19 $(BIN)/python -m benchmarks.lab.objects.pretrain --output $(dir $@) --seed $*

clean:
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache
