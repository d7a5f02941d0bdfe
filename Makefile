# make reproduce   set up, run the notebooks of PROFILE, judge the claims, build the book,
#                  print Tables I and II
# make data        set up, fetch ahead what PROFILE takes from outside; says first what and how large
# make test        set up, run the tests
# make lint        set up, check style and types
# make bench       set up, time the descent and the metrics beside other libraries
# make setup       the installation alone

PYTHON ?= python3
PROFILE ?= bundled
BIN = .venv/bin
INSTALL_LOG = .venv/install.log
# all but a line for each step
RUN_LOG = results/reproduce.log

.PHONY: reproduce data test lint bench setup lock repository

reproduce: setup
	@mkdir -p results
	@$(BIN)/snakemake --cores all --nolock --rerun-incomplete --quiet host rules progress \
		--config profile=$(PROFILE) 2> $(RUN_LOG) \
		|| { tail -n 25 $(RUN_LOG); echo "Stopped; all that was said is in $(RUN_LOG)"; exit 1; }
	@$(BIN)/python -m jnd.companion.tables $(PROFILE)

data: setup
	$(BIN)/python -m jnd.companion.prefetch $(PROFILE)

test: setup
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m pip install --no-deps --require-hashes -r benchmarks/peers.lock
	$(BIN)/python -W ignore benchmarks/bench.py

setup: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else f"Python 3.11 or newer is needed, this is {sys.version}; name one with make PYTHON=…")'
	@echo "Installing into .venv. On Linux: 3.4 GB to download, 6.5 GB to store, most of it CUDA;"
	@echo "the README says how to do without, on a machine that has no GPU."
	@$(PYTHON) -m venv .venv
	@{ $(BIN)/python -m pip install --require-hashes -r requirements.lock \
		&& $(BIN)/python -m pip install --no-deps --no-build-isolation -e . ; } > $(INSTALL_LOG) 2>&1 \
		|| { tail -n 20 $(INSTALL_LOG); echo "Stopped; all that was said is in $(INSTALL_LOG)"; exit 1; }
	@touch $@

# The lock is for every platform and every Python from 3.11 on; needs uv.
lock:
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --custom-compile-command "make lock" -o requirements.lock
	uv pip compile benchmarks/peers.in --no-deps --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --custom-compile-command "make lock" -o benchmarks/peers.lock

# The one place to say where the repository is: make repository URL=https://github.com/OWNER/NAME
repository:
	perl -pi -e 's|^(# )?repository-code:.*|repository-code: $(URL)|' CITATION.cff
	perl -pi -e 's|--depth 1 \S+ companion|--depth 1 $(URL) companion|' notebooks/*.ipynb
