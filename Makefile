# `make app` installs and serves the Explorer; `make test` installs what the tests need and runs them.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: app test clean

app: .venv/installed
	$(BIN)/streamlit run app/main.py

test: .venv/installed-test
	sh tests/browser/install_chromium.sh
	$(BIN)/python -m pytest

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv || { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt -e .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.txt -e ".[test,synth,export]"
	touch $@

clean:
	rm -rf .venv *.egg-info
