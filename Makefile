# Every target first makes .venv what it needs (tools/bootstrap.py), once, and again when one of these files changes.
# ARGS reach the command beneath: make test ARGS="-k rotation", make demo ARGS=--once. PYTHON names the interpreter.

BIN := .venv/bin
READY := .venv/.ready
E2E_READY := .venv/.ready-e2e
FUZZ_READY := .venv/.ready-fuzz
MUTATION_READY := .venv/.ready-mutation
SECONDS := 60
BENCH_READY := .venv-bench/.ready-bench
AGENTOS_READY := .venv-agentos/.ready-agentos
AGENTOS_OLDEST_READY := .venv-agentos-oldest/.ready-agentos-oldest

help:  ## Show these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY)  ## See it work: an identity provider and a protected agent, on loopback
	@$(BIN)/oidcbridge demo $(ARGS)

test: $(READY)  ## Run the tests that need no other server; those of oidcbridge/core have to cover it whole
	$(if $(ARGS),,$(BIN)/python -m coverage run -m pytest tests/core)
	$(if $(ARGS),,$(BIN)/python -m coverage report --include='oidcbridge/core/*' --fail-under=100 --skip-covered --show-missing)
	$(BIN)/python -m pytest --ignore=tests/e2e --ignore=tests/faults --ignore=tests/providers/live --ignore=tests/agentos $(if $(ARGS),$(ARGS),--ignore=tests/core)

faults: $(READY)  ## Play out every scenario of outage, rotation and abuse, and print what became of it
	$(BIN)/python -m pytest tests/faults $(ARGS)

e2e: $(E2E_READY) $(AGENTOS_READY)  ## Run the tests against a real Keycloak of their own (Java 17 and Maven)
	$(BIN)/python -m pytest tests/e2e $(ARGS)

providers: $(READY)  ## Run the tests against identity providers that others wrote, and print what became of their tokens (Java 17, Maven)
	$(BIN)/python -m pytest tests/providers $(ARGS)

agentos: $(AGENTOS_READY) $(AGENTOS_OLDEST_READY)  ## Run the tests of AgentOS and MCP with the newest agno and with the oldest, and check their types
	.venv-agentos/bin/python -m pytest tests/agentos tests/mcp $(ARGS)
	.venv-agentos-oldest/bin/python -m pytest tests/agentos $(ARGS)
	$(if $(ARGS),,$(BIN)/mypy --python-executable .venv-agentos/bin/python -p oidcbridge.agentos -p tests.agentos)

fuzz: $(if $(ARGS),$(READY),$(FUZZ_READY))  ## Search SECONDS (60) for an input that breaks a rule; ARGS=FILE tries one again
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(ARGS)

mutation: $(MUTATION_READY)  ## Make mistakes in oidcbridge/core, one by one, and see whether its tests notice (ARGS="token verify": only there)
	$(BIN)/python tools/mutation.py $(ARGS)

lint: $(READY)  ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(E2E_READY)  ## Check types, strictly
	$(BIN)/mypy
	$(BIN)/mypy tools docker

bench: $(BENCH_READY)  ## Measure what protection costs, the peers beside it; write the table and the plot (ARGS=--quick: only print)
	@.venv-bench/bin/python -m benchmarks $(ARGS)

bench-keys: $(READY)  ## Measure what key sets cost, under load, outages and rotation
	$(BIN)/python -m benchmarks.keyset $(ARGS)

bench-agentos: $(AGENTOS_READY)  ## Measure what protecting an AgentOS costs, agno's own layer beside it
	.venv-agentos/bin/python -m benchmarks.agentos $(ARGS)

keycloak: $(READY)  ## Start a local Keycloak with the agents realm, in Docker or on Java
	@$(BIN)/python docker/keycloak.py start $(ARGS)

keycloak-reset: $(READY)  ## Start it afresh, with the realm file as it is now
	@$(BIN)/python docker/keycloak.py reset $(ARGS)

keycloak-stop: $(READY)  ## Stop it
	@$(BIN)/python docker/keycloak.py stop $(ARGS)

clean:  ## Remove .venv and whatever was built or cached (the local Keycloak's data stays)
	rm -rf .venv .venv-bench .venv-agentos .venv-agentos-oldest dist build htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt tools/bootstrap.py tools/environment.py
	@for python in python3 $(PYTHON) python3.14 python3.13 python3.12 python3.11; do \
		if command -v "$$python" >/dev/null 2>&1; then exec "$$python" tools/bootstrap.py; fi; \
	done; \
	echo "oidcbridge needs Python 3.11 or newer, and there is no python3 here: install it (Debian, Ubuntu: apt install python3 python3-venv) and run make again" >&2; \
	exit 1

$(E2E_READY) $(FUZZ_READY) $(MUTATION_READY): .venv/.ready-%: $(READY)
	@$(BIN)/python tools/environment.py $*

$(BENCH_READY): $(READY) benchmarks/requirements.txt
	@$(BIN)/python tools/environment.py bench

$(AGENTOS_READY) $(AGENTOS_OLDEST_READY): .venv-%: $(READY) tests/agentos/requirements.txt
	@$(BIN)/python tools/environment.py $(patsubst .ready-%,%,$(notdir $@))

.PHONY: help demo test faults e2e providers agentos fuzz mutation lint types bench bench-keys bench-agentos keycloak keycloak-reset keycloak-stop clean
