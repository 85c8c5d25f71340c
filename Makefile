# `make help` lists the targets. Each one makes its own set-up, once: .venv and, from the versions
# in constraints.txt, what that target needs.
#
# Settings, as in `make test WORKERS=4`:
#   PYTHON   the Python that .venv is made of, 3.11 or later
#   VENV     the virtual environment
#   WORKERS  processes that run the tests; two take some 15 minutes for `make soak`
#   ARGS     further arguments of pytest, of `skaudio compare --demo` or of the benchmark

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
ARGS ?=

# scikit-learn runs its array API check only with this, and only if set before Python starts.
export SCIPY_ARRAY_API = 1

# Idle threads sleep. Where other programs share the cores, their busy waiting, which is the usual
# setting, makes everything several times slower.
export OMP_WAIT_POLICY = PASSIVE

# The real recordings for tests and benchmarks, where they lie beside the checkout.
ifndef SKAUDIO_DATA
ifneq ($(wildcard ../shared/data/.),)
export SKAUDIO_DATA := $(abspath ../shared/data)
endif
endif

BIN := $(VENV)/bin
GENERATED = docs/_build docs/api/generated docs/gallery docs/guide/generated
MODULES = $(shell find skaudio -name '*.py' | sort)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test soak lint docs bench bench-features bench-training clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.installed-plot,save  ## set up, then compare the extractors on a synthetic set
	$(BIN)/skaudio compare --demo $(ARGS)

test: $(VENV)/.installed-tests  ## set up, then run all tests and doctests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

soak: $(VENV)/.installed-tests  ## the fault tests at full length: kills, full disks, long runs
	SKAUDIO_SOAK=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal \
		tests/faults $(ARGS)

lint: $(VENV)/.installed-dev  ## check style, spelling and docstrings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/numpydoc lint $(MODULES)

docs: $(VENV)/.installed-docs  ## build the documentation, warnings are errors
	rm -rf $(GENERATED)
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

# speed as users see it: idle threads wait as they usually do; the last two are about processors
bench: build/rivals/.installed build/keras/.installed  ## speed beside rivals, memory, growth
	env -u OMP_WAIT_POLICY build/rivals/bin/python benchmarks/speed.py \
		--keras build/keras/bin/python $(ARGS)
	CUDA_VISIBLE_DEVICES= build/rivals/bin/python benchmarks/memory.py
	env -u OMP_WAIT_POLICY CUDA_VISIBLE_DEVICES= build/rivals/bin/python benchmarks/scaling.py

bench-features: build/rivals/.installed  ## compare the extractors and rivals on the open sets
	build/rivals/bin/python benchmarks/compare.py $(ARGS)

bench-training: $(VENV)/.installed-bench  ## what training without labels is worth, and its speed
	$(BIN)/python benchmarks/selfsupervised.py $(ARGS)
	$(BIN)/python benchmarks/train_speed.py

clean:  ## delete what was built; the virtual environment stays
	rm -rf build dist $(GENERATED) .pytest_cache .ruff_cache
	find skaudio tests docs benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "skaudio needs Python 3.11 or later: make PYTHON=/path/to/python ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# One stamp for each extra. It is renewed when the requirements or the exact versions change.
$(VENV)/.installed-%: setup.cfg pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install -c constraints.txt -e ".[$*]"
	@touch $@

# Environments of their own: the rivals want older versions than constraints.txt names, except of
# torch, whose usual build would bring gigabytes for GPUs.
build/rivals/.installed: setup.cfg benchmarks/requirements.txt
	$(PYTHON) -m venv build/rivals
	build/rivals/bin/python -m pip install -e ".[bench]" -r benchmarks/requirements.txt \
		$(shell grep '^torch==' constraints.txt)
	@touch $@

build/keras/.installed: benchmarks/requirements-keras.txt
	$(PYTHON) -m venv build/keras
	build/keras/bin/python -m pip install -r benchmarks/requirements-keras.txt
	@touch $@
