# The commands of the project, one word each; `make` alone lists them.
#
# Every command first makes .venv from requirements.lock (with uv where it is installed, else with venv and pip) and does
# so again only when requirements.lock or pyproject.toml has changed.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTHONS := $(or $(PYTHON),python3 python3.13 python3.12 python3.11)
FIND_PYTHON := import sys; print(sys.executable); sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
NOTEBOOKS = $(shell find notebooks -name '*.ipynb' -not -path '*/scratch/*' -not -path '*/.ipynb_checkpoints/*')

.DEFAULT_GOAL := help
.PHONY: help quickstart lab app test lint kernels bench lock clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

quickstart: $(READY) ## Do the whole job on an embedded week: store, forecast, plan, simulate, report
	@$(BIN)/workbench quickstart

lab: $(READY) ## Open JupyterLab on the notebooks
	@$(BIN)/workbench lab

app: $(READY) ## Serve the dashboards as a page (Voila)
	@$(BIN)/workbench app

test: $(READY) ## Run every gate, then the tests with their coverage floor
	@$(MAKE) --no-print-directory --jobs=2 --output-sync lint kernels
	$(BIN)/python -m pytest --cov --numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

lint: $(READY) ## Run the gates that need no test: style, types, import contracts, spelling, stripped notebooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(if $(NOTEBOOKS),$(BIN)/nbstripout --verify --keep-id $(NOTEBOOKS))

kernels: $(READY) ## Compile the kernels of the simulators, which else happens when they are first used
	@$(BIN)/python -m tests.simulation.warming replay lanes & $(BIN)/python -m tests.simulation.warming fluid; wait

bench: $(READY) ## Measure the benchmarks; some of them: make bench NAMES="ingest forecast"
	@$(BIN)/python -m tests.benchmarks $(NAMES)

# uv's index variables would be written into what it resolves, so they are taken away. Extras stay in the names because
# pip before 23.3 refuses a hash-pinned package that is also asked for with an extra.
lock: ## Resolve requirements.lock anew from pyproject.toml (needs uv)
	env -u UV_INDEX -u UV_DEFAULT_INDEX -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS \
	  uv pip compile pyproject.toml --group test --universal --python-version 3.11 --generate-hashes \
	  --no-strip-extras --no-annotate --custom-compile-command "make lock" --upgrade --quiet \
	  --output-file requirements.lock

clean: ## Remove .venv and the caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage

$(READY): requirements.lock pyproject.toml
	@test -x $(BIN)/python || { \
	  for name in $(PYTHONS); do \
	    python=$$("$$name" -c '$(FIND_PYTHON)' 2>/dev/null) && break; \
	    python=; \
	  done; \
	  if [ -z "$$python" ]; then \
	    echo "workbench needs Python 3.11, 3.12 or 3.13 and found none of them as: $(PYTHONS)." >&2; \
	    echo "Install one of them, or name one that is installed: make PYTHON=python3.12" >&2; \
	    exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$python"; \
	  if command -v uv >/dev/null; then uv venv --quiet --clear --python "$$python" $(VENV); \
	  else "$$python" -m venv --clear $(VENV); fi; \
	}
	@echo "Installing requirements.lock into $(VENV)"
	@if command -v uv >/dev/null; then \
	  uv pip sync --quiet --compile-bytecode --require-hashes --python $(BIN)/python requirements.lock && \
	  uv pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .; \
	else \
	  $(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock && \
	  $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .; \
	fi
	@touch $@
