# `make help` lists what can be made.  Everything runs in a virtual environment of its own, .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
MODELS ?= examples
TARGETS ?= cortex-m4 cortex-m0plus
EXAMPLES ?= 50

.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | expand -t 14

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "mcugen needs Python 3.10 or newer"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "no virtual environment: on Debian, apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,dev]'
	@touch $@

demo: $(READY)  ## install, build the digit recogniser for Cortex-M, verify, simulate and evaluate it
	$(BIN)/mcugen build examples/digits/digits.onnx --calibrate examples/digits/calib.npz --target cortex-m --output build/digits
	$(BIN)/mcugen evaluate build/digits --data examples/digits/eval.npz
	$(BIN)/mcugen simulate build/digits --target cortex-m4

test: $(READY)  ## all tests that CI runs: under 15 minutes on two cores
	$(BIN)/python -m pytest -n 2 tests

fuzz: $(READY)  ## EXAMPLES=50 batches of layers drawn at random for every kernel, on the host and on emulated cores
	MCUGEN_FUZZ=$(EXAMPLES) $(BIN)/python -m pytest tests/kernels/test_drawn_layers.py

lint: $(READY)  ## style and types
	$(BIN)/ruff check mcugen tests examples
	$(BIN)/mypy

bench: $(READY)  ## cycles, flash, RAM and stack of the examples, or of MODELS="a.onnx folder ..." on TARGETS="cortex-m4 ..."
	$(BIN)/mcugen bench $(MODELS) $(foreach target,$(TARGETS),--target $(target))

budgets: $(READY)  ## measure the example models anew and write tests/budget/budgets.json
	$(BIN)/python tests/budget/measure.py

runtime-test: ## build and test the C kernels alone, without Python
	$(MAKE) -C runtime_c test

wheel: $(READY)  ## a wheel in dist/
	$(BIN)/python -m build --outdir dist .

clean:  ## remove what was built, but not the environment
	rm -rf build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache

.PHONY: help demo test fuzz lint bench budgets runtime-test wheel clean
