# Every target sets up what it needs in .venv; a fresh machine needs Python >= 3.10, a C++20 compiler and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SOURCES := CMakeLists.txt pyproject.toml $(shell find csrc cuda python -type f -not -name '*.pyc' -not -name '*.so' 2>/dev/null)

.PHONY: all wheel install test lint demo bench compare perf-gate perf-gate-record gpu-check format clean

all: wheel

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.tools: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet build
	touch $@

# The wheel is what is tested and used: nothing below imports from the source tree.
dist/.wheel: $(VENV)/.tools $(SOURCES)
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	touch $@

wheel: dist/.wheel

$(VENV)/.installed: dist/.wheel
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps dist/*.whl
	$(BIN)/python -m pip install --quiet "$$(ls dist/*.whl)[test,plot,progress]"
	touch $@

install: $(VENV)/.installed

# Two processes: more would get in the way of the threads that each of them starts.
TEST_PROCESSES ?= 2
test: $(VENV)/.installed
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal tests

$(VENV)/.lint: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet numpy pytest matplotlib $$($(BIN)/python tools/extra.py lint)
	touch $@

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $$(find csrc cuda benchmarks tests -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh')

format: $(VENV)/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $$(find csrc cuda benchmarks tests -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh')

demo: $(VENV)/.installed
	$(BIN)/dlcore demo --out demo

# `bench` measures against NumPy and what else is installed; `compare` installs the peers in an environment of their own,
# writes benchmarks/results/compare-<processor>.json and renders docs/performance.md. COMPARE=--quick is a rough look.
bench: $(VENV)/.installed
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

PEERS := "torch==2.13.*" scikit-learn "jax==0.10.*" "jaxlib==0.10.*" threadpoolctl matplotlib
$(VENV)-compare/.peers: Makefile
	$(PYTHON) -m venv $(VENV)-compare
	$(VENV)-compare/bin/python -m pip install --quiet $(PEERS)
	$(VENV)-compare/bin/python -m pip install --quiet rbms learnergy || echo "rbms and learnergy are left out"
	touch $@

$(VENV)-compare/.installed: $(VENV)-compare/.peers dist/.wheel
	$(VENV)-compare/bin/python -m pip install --quiet --force-reinstall --no-deps dist/*.whl
	touch $@

compare: $(VENV)-compare/.installed
	$(VENV)-compare/bin/python benchmarks/compare.py $(COMPARE)

# Instruction counts of the hot paths against benchmarks/results/instructions.json; perf-gate-record renews that file.
perf-gate: $(VENV)/.installed
	$(BIN)/python tools/perf_gate.py

perf-gate-record: $(VENV)/.installed
	$(BIN)/python tools/perf_gate.py --record

# On a machine with an NVIDIA GPU, nvcc, CMake, pybind11, pytest and PyTorch: see tools/gpu_check.py. Nothing is installed.
gpu-check:
	$(PYTHON) tools/gpu_check.py $(GPU_CHECK)

clean:
	rm -rf build dist demo $(VENV) $(VENV)-compare
