# Sets the project up, runs it, tests it. `make help` lists what there is.
#
#   make run ARGS="experiment=digits seed=3"    arguments instead of the default sweep
#   make test ARGS="tests/softnet -k adam"      arguments for pytest
#   make PYTHON=/path/to/python3.12 run         an interpreter of your choice

SWEEP = --multirun experiment=tutorial optimizer.learning_rate=0.01,0.04,0.16 'seed=range(0,5)'
BIN = .venv/bin
INSTALL = $(BIN)/python install.py
LOCK = $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--custom-compile-command "make lock"

# Compiled once: without them each `import mlflow` takes more than twice as long, and uv, unlike
# pip, leaves the compiling to the first import.
unexport PYTHONDONTWRITEBYTECODE

# A file's tests stay together, in their order: they share what is costly to make.
TWO_AT_ONCE = --numprocesses 2 --dist loadfile

# Each stamp is written last, so an interrupted install is simply done again.
READY = .venv/ready
READY_FOR_TESTS = .venv/ready-for-tests
READY_FOR_DOCS = .venv/ready-for-docs
READY_FOR_CONFORMANCE = .venv/ready-for-conformance
READY_FOR_CLUSTER = .venv/ready-for-cluster
READY_FOR_BENCHMARKS = .venv/ready-for-benchmarks

# Keeps a .venv that works; else makes one with the first interpreter that will do.
SUITABLE = -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
CANDIDATES = $(or $(PYTHON),python3 python3.13 python3.12 python3.11)
define MAKE_VENV
if $(BIN)/python $(SUITABLE) && $(BIN)/python -m pip --version >/dev/null 2>&1; then exit 0; fi; \
for python in $(CANDIDATES) ""; do \
	if [ -n "$$python" ] && $$python $(SUITABLE); then break; fi; \
done; \
if [ -z "$$python" ]; then \
	echo "Python 3.11, 3.12 or 3.13 is needed; none of these is one: $(CANDIDATES)." >&2; \
	echo "Install one, or name it: make run PYTHON=/path/to/python3.12" >&2; exit 1; \
fi; \
if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	echo "$$python lacks its venv module. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; \
fi; \
echo "Making .venv with $$($$python --version) ..."; \
$$python -m venv --clear .venv
endef

.PHONY: help run test quick lint docs conformance cluster cluster-tests faults benchmarks lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

run: $(READY) ## set up, then sweep the tutorial's network; ARGS="..." runs something else
	@$(BIN)/runner $(or $(ARGS),$(SWEEP))

test: $(READY_FOR_TESTS) ## set up, then run every test; ARGS="..." chooses some
	$(BIN)/python -m pytest $(TWO_AT_ONCE) $(ARGS)

quick: $(READY_FOR_TESTS) ## run the tests that start no process of their own, but for the slow ones
	$(BIN)/python -m pytest $(TWO_AT_ONCE) -m "not process and not slow" $(ARGS)

lint: $(READY_FOR_TESTS) ## check style, formatting, types and who imports whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

docs: $(READY_FOR_DOCS) ## build the documentation in build/site, and follow its pages literally
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	DOCS=1 $(BIN)/python -m pytest $(TWO_AT_ONCE) tests/docs $(ARGS)

conformance: $(READY_FOR_CONFORMANCE) ## compare with PyTorch, which it installs, and repeat a hundred runs
	CONFORMANCE=1 $(BIN)/python -m pytest tests/conformance $(ARGS)

faults: $(READY_FOR_TESTS) ## have records, the machine and a server fail, and count what is survived
	FAULTS=1 $(BIN)/python -m pytest --numprocesses 2 --dist load tests/faults $(ARGS)

cluster: $(READY_FOR_CLUSTER) ## start a Dask cluster and a tracking server on this machine, until Ctrl-C
	@$(BIN)/python -m benchmarks.sweeps.cluster $(ARGS)

cluster-tests: $(READY_FOR_CLUSTER) ## run sweeps on a Dask cluster of this machine, whose parts are killed
	CLUSTER=1 $(BIN)/python -m pytest tests/cluster $(ARGS)

benchmarks: $(READY_FOR_BENCHMARKS) ## measure all that is promised, beside peers, which it installs
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

lock: $(READY) ## choose and pin the dependencies anew
	$(LOCK) --upgrade pyproject.toml --output-file requirements.txt
	$(LOCK) --upgrade --group uv --output-file requirements-uv.txt
	$(LOCK) --upgrade --group build --constraint requirements.txt \
		--output-file requirements-build.txt
	$(LOCK) --upgrade --group dev --constraint requirements.txt \
		--constraint requirements-build.txt --output-file requirements-dev.txt
	$(LOCK) --upgrade --extra cluster --extra excel --extra postgres --extra search \
		--constraint requirements.txt --constraint requirements-build.txt pyproject.toml \
		--output-file requirements-cluster.txt
	$(LOCK) --upgrade --group docs --constraint requirements.txt \
		--constraint requirements-dev.txt --output-file requirements-docs.txt
	$(LOCK) --upgrade --group peers --constraint requirements.txt \
		--constraint requirements-build.txt --output-file requirements-peers.txt

clean: ## remove everything that was installed or cached; what runs left in outputs/ stays
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

$(READY): requirements.txt requirements-build.txt requirements-uv.txt install.py pyproject.toml
	@echo "Installing MLflow, Hydra, NumPy and what they need into .venv (750 MB, about a minute) ..."
	@$(MAKE_VENV)
	@$(INSTALL) "--require-hashes -r requirements-build.txt" \
		"--require-hashes --no-build-isolation -r requirements.txt" \
		"--no-deps --no-build-isolation --editable ."
	@touch $@

$(READY_FOR_TESTS): $(READY) requirements-dev.txt
	@echo "Installing the test tools into .venv ..."
	@$(INSTALL) "--require-hashes -r requirements-dev.txt"
	@touch $@

$(READY_FOR_DOCS): $(READY_FOR_TESTS) requirements-docs.txt
	@echo "Installing MkDocs into .venv (about 15 MB to download) ..."
	@$(INSTALL) "--require-hashes -r requirements-docs.txt"
	@touch $@

# Its version is in pyproject.toml; without a hash, for a build is taken that suits the machine. By
# pip, which prefers a build in a folder of wheels where a person has one.
$(READY_FOR_CONFORMANCE): $(READY_FOR_TESTS)
	@echo "Installing PyTorch into .venv (about 200 MB to download) ..."
	@$(BIN)/python -m pip --disable-pip-version-check install -qq --no-build-isolation \
		--editable '.[conformance]'
	@touch $@

$(READY_FOR_CLUSTER): $(READY_FOR_TESTS) requirements-cluster.txt
	@echo "Installing dask.distributed and psycopg into .venv (about 10 MB to download) ..."
	@$(INSTALL) "--require-hashes --no-build-isolation -r requirements-cluster.txt"
	@touch $@

# PyTorch is one of the peers.
$(READY_FOR_BENCHMARKS): $(READY_FOR_CONFORMANCE) requirements-peers.txt
	@echo "Installing JAX, Hydra's joblib launcher and real tables into .venv (about 130 MB to download) ..."
	@$(INSTALL) "--require-hashes --no-build-isolation -r requirements-peers.txt"
	@touch $@
