# Every target sets up its own environment first: all it needs is Python 3.11 or newer and make.
VENV ?= .venv
PYTHON ?=
NEEDS =
bin = $(VENV)/bin
# Without the last option, a test that crashes its process is tried again and again.
pytest = $(bin)/python -m pytest -n auto --dist loadfile --max-worker-restart=0

help: ## list what there is to do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "VENV=directory (now $(VENV)) and PYTHON=version-or-path choose where and with what."

setup: ## make the environment ready; at once if it is
	@for python in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python; do \
	    if "$$python" -c "import sys; sys.exit(sys.version_info < (3, 6))" 2>/dev/null; then \
	        exec "$$python" .ci/environment.py "$(VENV)" $(NEEDS) --python "$(PYTHON)"; \
	    fi; \
	done; echo "aioaug: Python 3.11 or newer is needed, found none" >&2; exit 1

demo: setup ## augment pictures on every core
	@$(bin)/python examples/demo.py

test: setup ## run the quick tests
	@$(pytest) -m "not slow" $(ARGS)

test-slow: setup ## run the slow tests
	@$(pytest) -m slow $(ARGS)

lint: setup ## check style and types
	@$(bin)/ruff check .
	@$(bin)/ruff format --check .
	@$(bin)/mypy

bench: VENV = .venv-bench
bench: NEEDS = 'aioaug[bench]' --group test
bench: setup ## measure speed, beside other libraries: 20 minutes (ARGS=--help)
	@$(bin)/aioaug bench $(ARGS)

docs: setup ## build the documentation
	@$(bin)/sphinx-build -W -n --keep-going -q docs docs/_build
	@echo "docs/_build/index.html"

clean: ## remove what was built, and the environments
	rm -rf .venv .venv-bench dist docs/_build .mypy_cache .pytest_cache .ruff_cache

.PHONY: help setup demo test test-slow lint bench docs clean
