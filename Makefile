# Every command of the house. `make help` lists them.
SHELL := /bin/sh
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := .venv-peers
# One more than two cores: some tests only wait, for a process or a clock. With eight: make test JOBS=9
JOBS ?= 3
# Tests and the demo start dozens of processes: without kept bytecode each compiles the house anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup test test-long test-peers test-browser check format-check lint types imports format \
        bench bench-quick demo demo-reset flask story phone run migration lock

help: ## List the commands
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Create the virtual environment and install everything, with hashes checked

# The first Python that runs and is one of ours: a shim on the PATH may name one that is not there.
$(READY): requirements-dev.txt
	@python=$$(for name in python3.12 python3.11 python3; do \
		$$name -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
		2>/dev/null && echo $$name && break; done); \
	test -n "$$python" || { echo "Python 3.11 or 3.12 is needed" >&2; exit 1; }; \
	test -x $(BIN)/python || $$python -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		-r requirements-dev.txt
	@touch $@

test: $(READY) ## Run the tests on real engines, all set-up included (T=tests/core/test_x.py for one)
	$(BIN)/python -m pytest -n $(JOBS) --durations=15 $(T)

test-long: $(READY) ## Run the tests with their full counts: steps, schedules, kills, fuzz cases
	LONG=1 $(BIN)/python -m pytest -n $(JOBS) --timeout 7200 --durations=30 $(T)

test-peers: $(READY) $(PEERS)/.ready ## mpesakit and mpesa-node, as they are, against the simulated M-PESA
	$(BIN)/python -m pytest tests/peers/peers.py

test-browser: $(READY) ## Two of the staff at two browsers, in the machine's Chromium (SHOTS=folder keeps pictures)
	$(BIN)/python -m pytest --durations=15 $(if $(SHOTS),--shots $(SHOTS)) \
		$(or $(T),tests/browser/story_*.py)

$(PEERS)/.ready: tests/peers/requirements.txt tests/peers/package-lock.json
	$(BIN)/python -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		--no-deps -r tests/peers/requirements.txt
	cp tests/peers/package.json tests/peers/package-lock.json $(PEERS)/
	npm ci --prefix $(PEERS) --silent --no-audit --no-fund --ignore-scripts
	@touch $@

bench: $(READY) ## Measure, as ratios to peers in the same run (P=P2,P4 for some; half an hour for all)
	$(BIN)/python -m bench $(or $(P),P2,P4,P5,P6)

bench-quick: $(READY) ## A smaller choice of it in a few minutes, at a tenth of the size
	$(BIN)/python -m bench $(or $(P),P2,P4) --scale 10 --bets 100000

check: format-check lint types imports ## Everything CI asks: format, lint, types, imports, tests
	$(MAKE) test

format-check: $(READY)
	$(BIN)/ruff format --check .

lint: $(READY)
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

format: $(READY) ## Format the code and mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

demo: $(READY) ## The whole house on this machine, with a phone page to play on (Ctrl-C ends it)
	$(BIN)/python -m demo.run --stay

demo-reset: $(READY) ## Empty the demo's database, if DATABASE_URL names one of your own
	$(BIN)/python -m demo.reset

story: $(READY) ## Play the story from dial to payout once, and exit 0 if all of it came true
	$(BIN)/python -m demo.run

phone: $(READY) ## A feature phone in this terminal, while the demo runs (N=0712000001)
	SIM_PORT=$$(($(or $(PORT),8000) + 1)) $(BIN)/python -m simulator.terminal $(or $(N),0712000001)

run: $(READY) ## The processes of the Procfile, with the settings in .env
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/honcho start

flask: $(READY) ## A staff command in the running demo (C="market list", C="--help")
	@set -a && . ./.demo/environment && exec $(BIN)/flask --app wsgi $(or $(C),--help)

migration: $(READY) ## The next migration, drafted from the models (m="add payout state")
	$(BIN)/python -m demo.migration "$(m)"

lock: $(READY) ## Pin requirements*.in into hash-locked requirements*.txt
	for name in requirements requirements-dev tests/peers/requirements; do \
		$(BIN)/uv pip compile --universal --quiet --python-version 3.11 --generate-hashes \
		--no-header $$name.in -o $$name.txt; done
	cd tests/peers && npm install --package-lock-only --silent --omit-lockfile-registry-resolved
