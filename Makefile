# Two commands: `make run` (the sample project, then the workbench) and `make test` (everything, real browser included).
# `make demo` is `make run` without staying up. The environment is .venv in this folder.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := pyproject.toml constraints.txt

.PHONY: run demo up test test-long check format environment wheelhouse clean help

help:            ## list the targets
	@grep -hE '^[a-z-]+: .*##|^[a-z-]+:  +##' $(MAKEFILE_LIST) | sed 's/:.*##/ -/'

run: demo up     ## sample project, the whole loop, then the workbench at http://127.0.0.1:8501

demo: .venv/.installed-all  ## the whole loop on the sample project, with progress and a final table
	$(BIN)/workbench demo

up: .venv/.installed-all  ## the workbench, its worker and the scorer, on loopback
	$(BIN)/workbench up

test: .venv/.installed-dev .venv/.system-dev  ## all tests
	$(BIN)/python -m pytest -rsR -n 2 --dist loadfile -m "not long" $(PYTEST_ARGS)

test-long: .venv/.installed-dev .venv/.system-dev  ## the rare and long tests
	$(BIN)/python -m pytest -rsR -m long $(PYTEST_ARGS)

check: .venv/.installed-dev  ## style, types and floors only
	$(BIN)/python -m pytest tests/architecture $(PYTEST_ARGS)

format: .venv/.installed-dev  ## put the code in the house's form
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

environment: .venv/.installed-all  ## only make the environment

wheelhouse:      ## one archive to install from without internet (EXTRA=serve for a scoring host alone)
	@PYTHON="$(PYTHON)" bash deploy/wheelhouse.sh $(or $(EXTRA),all)

clean:           ## remove the environment and everything the demo made here
	rm -rf .venv .workbench build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/.installed-all: $(SOURCES)
	@PYTHON="$(PYTHON)" bash deploy/environment.sh all
	@touch $@

.venv/.installed-dev: $(SOURCES)
	@PYTHON="$(PYTHON)" bash deploy/environment.sh dev
	@touch .venv/.installed-all $@

.venv/.system-dev: deploy/environment.sh
	@bash deploy/environment.sh system-parts
	@mkdir -p .venv && touch $@
