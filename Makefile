# `make demo` shows the hub, `make test` proves it. Both make .venv first and need no root.

BIN := .venv/bin
DURATION ?= 60
SEED ?= 5
WORKERS ?= 3

.PHONY: help demo test bench soak chaos chaos-table lint format map

help:
	@echo "make demo [DURATION=60]   a simulated community, judged before your eyes"
	@echo "make test [WORKERS=3]     lint, types, import law, tests in so many processes"
	@echo "make bench [ONLY=flood]   our figures, on this machine; 15 minutes in full"
	@echo "make chaos [MINUTES=30]   faults in running traffic; SEED=5 is their order"
	@echo "make chaos-table          every fault once, and the table of the README"
	@echo "make soak [MINUTES=10]    a steady load and a fault a minute; the books must balance, nothing may grow"
	@echo "make lint                 lint, types and import law only"
	@echo "make format               let ruff format everything"
	@echo "make map                  write the map of the rooms into the README"

# Again only when what is installed changed, or the tree was moved or copied.
$(shell [ "$$(cat .venv/installed 2>/dev/null)" = "$$(pwd -P)" ] || rm -f .venv/installed)
.venv/installed: pyproject.toml constraints.txt .ci/install
	@sh .ci/install

demo: .venv/installed
	@$(BIN)/hub demo --duration $(DURATION)

# Where Python is told to keep no byte code, each process compiles the hub, and each worker the tests, anew.
test: export PYTHONDONTWRITEBYTECODE =
test: lint
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

soak: .venv/installed
	@$(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),10)

# gmqtt is a baseline and stays apart: its wheel brings a package `tests`, which would hide ours.
bench: .venv/installed
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt matplotlib
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps --upgrade \
		--target .venv/baselines gmqtt
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) --plots benchmarks/plots

chaos: .venv/installed
	@$(BIN)/python -m tests.chaos --minutes $(or $(MINUTES),30) --seed $(SEED)

chaos-table: .venv/installed
	@$(BIN)/python -m tests.chaos --readme --seed $(SEED)

lint: .venv/installed
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/installed
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

map: .venv/installed
	@$(BIN)/python -m tests.house.rooms
