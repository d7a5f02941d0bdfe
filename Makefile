# make reproduce   set up, run the notebooks of PROFILE, judge the claims, build the book,
#                  print Tables I and II
# make data        set up, download in advance what PROFILE needs, after listing it with its size
# make test        set up, run the tests
# make lint        set up, check style, types and imports
# make bench       set up, time the descent and the metrics beside other libraries
# make archive     set up, pack the results of PROFILE into dist/, for others to check and to build from
# make verify      set up, check the archive RESULTS and compute again what can be; ACCEPT=NAME keeps
#                  its numbers for the ledger
# make book        set up, build the book from the archive RESULTS; no notebook runs
# make release     check version, changelog and citation, and put the files to deposit into dist/
# make setup       the installation alone

PYTHON ?= python3
PROFILE ?= bundled
BIN = .venv/bin
INSTALL_LOG = .venv/install.log
# everything but one line per step
RUN_LOG = results/reproduce.log

.PHONY: reproduce data archive verify book test lint bench release setup lock repository

# Nothing goes into the home folder, which may be full or read-only. Snakemake's copy of the Snakefile is removed,
# because Snakemake would use it even after the Snakefile has changed. It insists on a cache: without
# a home folder that one is here too.
reproduce: export IPYTHONDIR = $(CURDIR)/.snakemake/ipython
reproduce: export JUPYTER_CONFIG_DIR = $(CURDIR)/.snakemake/jupyter/config
reproduce: export JUPYTER_DATA_DIR = $(CURDIR)/.snakemake/jupyter/data
reproduce: export JUPYTER_RUNTIME_DIR = $(CURDIR)/.snakemake/jupyter/runtime
reproduce: export MPLCONFIGDIR = $(CURDIR)/.snakemake/matplotlib
reproduce: setup
	@mkdir -p results
	@rm -rf .snakemake/sources
	@mkdir -p "$${XDG_CACHE_HOME:-$$HOME/.cache}" 2> /dev/null \
		|| export XDG_CACHE_HOME="$(CURDIR)/.snakemake/cache"; \
	$(BIN)/snakemake --cores all --nolock --rerun-incomplete --quiet host rules progress \
		--runtime-source-cache-path .snakemake/sources --config profile=$(PROFILE) 2> $(RUN_LOG) \
		|| { tail -n 25 $(RUN_LOG); echo "Stopped; the full log is $(RUN_LOG)"; exit 1; }
	@$(BIN)/python -m companion.tables $(PROFILE)

data: setup
	$(BIN)/python -m companion.registry $(PROFILE)

archive: setup
	$(BIN)/python book/ledger/archive.py $(PROFILE)

verify: setup
	@test -f "$(RESULTS)" || { echo "name an archive: make verify RESULTS=results-….zip"; exit 1; }
	$(BIN)/python book/ledger/verify.py "$(RESULTS)" $(if $(ACCEPT),--accept "$(ACCEPT)")

# Snakemake makes the descent for the browser, in which no notebook has a part
book: setup
	@test -f "$(RESULTS)" || { echo "name an archive: make book RESULTS=results-….zip"; exit 1; }
	$(BIN)/snakemake --cores all --nolock --quiet host rules progress -- results/live
	$(BIN)/python book/build.py --archive "$(RESULTS)"

# OpenMP's threads sleep while they wait, so that tests side by side do not slow each other down
test: export OMP_WAIT_POLICY = passive
test: .venv/for-tests
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

lint: .venv/for-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: setup
	$(BIN)/python -m pip install --no-deps --require-hashes -r benchmarks/peers.lock
	$(BIN)/python -W ignore benchmarks/bench.py

release: setup
	$(BIN)/python tests/release.py --check
	$(MAKE) reproduce PROFILE=bundled
	$(BIN)/python tests/release.py

setup: .venv/installed

.venv/installed: requirements.lock torch.lock pyproject.toml notebooks/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"Python 3.11 or newer is needed, and this is {sys.version}; choose one with make PYTHON=…")'
	@echo "Installing into .venv. On Linux: 3.4 GB to download, 6.5 GB to store, most of it CUDA;"
	@echo "the README says how to avoid it on a machine without a GPU."
	@$(PYTHON) -m venv .venv
	@{ $(BIN)/python -m pip install --require-hashes -r requirements.lock -r torch.lock \
		&& $(BIN)/python -m pip install --no-deps --no-build-isolation -e . -e notebooks ; } > $(INSTALL_LOG) 2>&1 \
		|| { tail -n 20 $(INSTALL_LOG); echo "Stopped; the full log is $(INSTALL_LOG)"; exit 1; }
	@touch $@

.venv/for-tests: .venv/installed tests/requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r tests/requirements.lock
	@touch $@

# Each lock is for every platform and every Python from 3.11 on; needs uv. torch and what it is made
# of have their own, because a machine without a GPU replaces them.
COMPILE = uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock"
TORCH = ^(torch|torchvision|triton|cuda-.*|nvidia-.*)==

lock:
	cat requirements.lock torch.lock > all.lock
	$(COMPILE) pyproject.toml notebooks/pyproject.toml --all-extras --no-emit-package jnd -o all.lock
	awk 'BEGIN { file = "requirements.lock" } /^[^ #]/ { file = /$(TORCH)/ ? "torch.lock" : "requirements.lock" } { print > file }' all.lock
	rm all.lock
	$(COMPILE) tests/requirements.in --no-deps -o tests/requirements.lock
	$(COMPILE) benchmarks/peers.in --no-deps -o benchmarks/peers.lock

# Sets the address of the repository everywhere: make repository URL=https://github.com/OWNER/NAME
# The book reads it from CITATION.cff, for its buttons, links and previews, and for the citation.
repository:
	@echo "$(URL)" | grep -Eq '^https://github.com/[^/]+/[^/]+$$' \
		|| { echo "make repository URL=https://github.com/OWNER/NAME"; exit 1; }
	perl -pi -e 's|^(# )?repository-code:.*|repository-code: $(URL)|' CITATION.cff
	perl -pi -e 's|--depth 1 \S+ repository|--depth 1 $(URL) repository|' notebooks/*.ipynb
