# Every target sets up what it needs, in a virtual environment of its own for each Python:
#     make test                      .venv, made with python3
#     make test PYTHON=python3.12    .venv-3.12
#     make test TESTS=tests/core

PYTHON ?= python3
TORCH ?= torch==2.13.0
WORKERS ?= 2
TESTS ?=
ARGS ?=

# The interpreter itself: pyenv's shims name versions that are not switched on.
python := $(shell $(PYTHON) -c 'import sys; print(sys.executable)' 2>/dev/null \
	|| ls -d $(HOME)/.pyenv/versions/*/bin/$(PYTHON) 2>/dev/null | tail -n 1)
version := $(shell $(python) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
VENV ?= $(if $(filter python3,$(PYTHON)),.venv,.venv-$(version))
run := $(VENV)/bin/python
pip := $(run) -m pip --disable-pip-version-check
needs := kerasish needs Python 3.11 or later, and $(PYTHON) is not: \
	name one with make PYTHON=/path/to/python

.PHONY: help demo test smoke test-slow test-onnx notebooks docs release-check bench lint format clean
.NOTPARALLEL:

help:
	@echo "make demo       train and save a digit reader, then load it in a new process"
	@echo "make test       all tests but the slow ones"
	@echo "make smoke      what a newcomer does first, in ten seconds"
	@echo "make test-slow  the slow ones"
	@echo "make test-onnx  export to ONNX, every layer, in an environment of its own"
	@echo "make notebooks  run the notebooks and examples from top to bottom"
	@echo "make docs       the site: guides, notebooks, gallery, reference of every public name"
	@echo "make release-check   wheel and sdist: built, checked, installed and used"
	@echo "make bench      the same models under kerasish, Keras, PyTorch and plain JAX"
	@echo "make lint       ruff and pyright, changing nothing"
	@echo "make format     let ruff mend what it can"
	@echo "make clean      remove outputs and caches (environments stay: rm -r .venv*)"

demo: $(VENV)/.installed-demo $(VENV)/.native
	$(run) examples/digits.py $(ARGS)

test: $(VENV)/.installed-test $(VENV)/.native
	$(run) -m pytest -n $(WORKERS) --dist worksteal $(TESTS) $(ARGS)

smoke: $(VENV)/.installed-test
	$(run) -m pytest -q tests/test_smoke.py

test-slow: $(VENV)/.installed-test $(VENV)/.native
	$(run) -m pytest -m slow $(TESTS) $(ARGS)

# jax2onnx holds other packages back, so its tests have an environment of their own.
ONNX := $(VENV)-onnx
test-onnx: $(ONNX)/.installed-onnx
	$(ONNX)/bin/python -m pytest -n $(WORKERS) --dist worksteal -m "slow or not slow" \
		tests/export/test_onnx.py tests/export/test_deploy.py $(ARGS)

notebooks: $(VENV)/.installed-test $(VENV)/.native
	$(run) -m pytest -m slow tests/structure/test_notebooks.py tests/structure/test_examples.py \
		--durations=0 $(ARGS)

docs: $(VENV)/.installed-docs
	$(run) docs/site/build.py $(ARGS)

release-check: $(VENV)/.installed-release
	$(run) release/check.py $(PYTHONS)

bench: $(VENV)/.installed-bench $(VENV)/.native
	$(run) -m benchmarks $(ARGS)

lint: $(VENV)/.installed-dev
	$(run) -m ruff check .
	$(run) -m ruff format --check --quiet .
	$(run) -m pyright --pythonpath $(run)

format: $(VENV)/.installed-dev
	$(run) -m ruff check --fix .
	$(run) -m ruff format .

clean:
	rm -rf build dist native/build out .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +

$(run):
	@test -n "$(python)" && $(python) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(needs)"; exit 1; }
	$(python) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# What each target needs is an extra of the package; the empty file says that it is there.
$(VENV)/.installed-%: pyproject.toml | $(run)
	@echo "Installing kerasish[$*] into $(VENV): a minute or two, the first time."
	$(pip) install -qq --editable ".[$*]"
	@touch $@

$(VENV)/.installed-bench: pyproject.toml | $(run)
	@echo "Installing kerasish[bench] into $(VENV): a minute or two, the first time."
	$(pip) install -qq --editable ".[bench]" "$(TORCH)"
	@touch $@

$(ONNX)/.installed-onnx: pyproject.toml
	@test -n "$(python)" || { echo "$(needs)"; exit 1; }
	@echo "Installing kerasish[onnx,test] into $(ONNX): a minute or two, the first time."
	test -x $(ONNX)/bin/python || $(python) -m venv $(ONNX)
	$(ONNX)/bin/python -m pip --disable-pip-version-check install -qq --editable ".[onnx,test]"
	@touch $@

# Faster convolutions on CPUs, compiled where there is a C++ compiler. Without, XLA computes them.
$(VENV)/.native: $(wildcard native/*.* native/src/*.cpp native/src/*/*.py) | $(run)
	@if command -v c++ >/dev/null || command -v g++ >/dev/null; then \
		echo "Compiling native/ into $(VENV): a minute, the first time."; \
		$(pip) install -qq ./native || echo "Going on without it: XLA computes convolutions."; \
	else \
		echo "No C++ compiler: native/ is left out, and XLA computes convolutions."; \
	fi
	@touch $@
