PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
# Tests run in so many processes at once.
JOBS ?= 2

.PHONY: demo test test-all check bench docs clean

demo: $(VENV)/.installed
	$(BIN)/mmsearch sample $(DEMO)/catalog
	$(BIN)/mmsearch index $(DEMO)/catalog --store $(DEMO)/store
	$(BIN)/mmsearch search "red apple" --store $(DEMO)/store -k 5
	$(BIN)/mmsearch search --image $(DEMO)/catalog/images/red-apple.webp --target text --store $(DEMO)/store -k 5
	$(BIN)/mmsearch search "musical instruments" --store $(DEMO)/store -k 12 --gallery $(DEMO)/gallery.html

test: $(VENV)/.installed
	$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal -m "not slow"

test-all: $(VENV)/.installed
	$(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal

check: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The other scripts in benchmarks/ take the data that they measure on; --help says which.
bench: $(VENV)/.installed
	$(BIN)/python benchmarks/encode.py --pictures mmsearch/sample/data/images

docs: $(VENV)/.installed
	$(BIN)/python tools/write_cli_docs.py

# Installed again only when the list of packages changes.
$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) $(DEMO) build dist *.egg-info
