# Ringpost: `make` alone says what there is. Everything is set up in .venv; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
TEST_STAMP := $(VENV)/.ready-test

.DEFAULT_GOAL := help
.PHONY: help setup demo test quick prove requirements screenshots words lint bench test-deps clean

help:  ## this list
	@echo "Ringpost: an SMS gateway for recruiters, on your own desk."
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: $(STAMP)  ## put everything Ringpost needs into .venv

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Ringpost needs Python 3.11 or newer; this is " + sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python cannot make a virtual environment here. Cure: sudo apt install python3-venv"; exit 1; }
	@echo "Setting up .venv (a minute or two, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $(STAMP)

$(TEST_STAMP): $(STAMP)
	@echo "Adding the test tools to .venv ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,postgresql]'
	@touch $(TEST_STAMP)

demo: $(STAMP)  ## try it now: simulated modem, sample people, prints a login and a curl line
	@$(BIN)/ringpost demo

test: $(TEST_STAMP)  ## every test (in CI it installs chromium, postgresql and gammu first)
	@if [ "$$CI" = "true" ]; then $(MAKE) --no-print-directory test-deps; fi
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

quick: $(TEST_STAMP)  ## the fast tests only, under 90 seconds
	@$(BIN)/python -m pytest -q -m 'not browser and not postgresql and not gammu and not prove and not slow'

prove: $(TEST_STAMP)  ## the long proofs: hundreds of kills, a million hostile PDUs
	@$(BIN)/python -m tests.prove

requirements: $(TEST_STAMP)  ## the mission row by row: what each asks, the tests that prove it, pass or fail
	@$(BIN)/python -m tests.requirements

screenshots: $(TEST_STAMP)  ## a picture of every page at 360 and 1280 px, light and dark, into screenshots/
	@rm -rf screenshots
	@RINGPOST_SCREENSHOTS=screenshots $(BIN)/python -m pytest -q -n 2 tests/browser/test_every_page.py

words: $(TEST_STAMP)  ## collect the pages' strings for translation, and make the catalogues of what is translated
	@$(BIN)/python tools/words.py

lint: $(TEST_STAMP)  ## ruff and mypy, strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(TEST_STAMP)  ## measure the figures of the design and write benchmarks/results.json
	@$(BIN)/python -m benchmarks

test-deps:  ## Debian packages the full test run wants (needs root)
	@sh .ci/test-deps

clean:  ## remove .venv and caches
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
