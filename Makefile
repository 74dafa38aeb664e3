# `make app` installs and serves the Explorer; `make test` installs what the tests need and runs them.
PYTHON ?= python3
BIN := .venv/bin

PIP := $(BIN)/pip install --quiet --disable-pip-version-check
UV := uv==0.13.9
PIP_AUDIT := pip-audit==2.10.1

.PHONY: app check test soak lock audit checkpoints clean

# Two heaps for all threads: Streamlit runs every gesture in a thread of its own, and glibc gives each a heap whose free
# memory the others cannot use. After 640 gestures the server takes 1.6 GB and not 1.75.
app: .venv/installed
	MALLOC_ARENA_MAX=2 $(BIN)/streamlit run app/main.py

# Format, lint, and the one direction of imports that pyproject.toml draws.
check: .venv/installed-test
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/lint-imports

# Three processes for two cores: tests in Chromium wait for part of their time.
test: check
	sh tests/browser/install_chromium.sh
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile

# What `make test` tries briefly, for most of an hour: kills, faults, hostile files, privacy. SOAK="kills faults" runs parts.
soak: .venv/installed-test
	$(BIN)/python -m tests.soak $(SOAK)

# Trains, publishes and measures checkpoints/ again; CITY is what `ssrnet synth --recipe training` rendered.
checkpoints: .venv/installed
	@test -d "$(CITY)" -a -d "$(TWOCAM)" -a -f "$(BACKBONE)" || \
	  { echo "usage: make checkpoints CITY=DIR TWOCAM=DIR BACKBONE=FILE (the data sets, the ImageNet ResNet-50)"; exit 1; }
	for network in baseline ssrnet; do \
	  train="$(BIN)/ssrnet train --network $$network --data $(CITY) --more-data $(TWOCAM) --cache runs/shipped/cache"; \
	  $$train --recipe shipped --backbone-weights $(BACKBONE) --out runs/shipped/$$network && \
	  $(BIN)/ssrnet publish --checkpoint runs/shipped/$$network/last.safetensors \
	    --out runs/shipped/start/$$network.safetensors && \
	  $$train --recipe healed --start-from runs/shipped/start/$$network.safetensors \
	    --out runs/shipped/$$network-healed && \
	  $(BIN)/ssrnet publish --checkpoint runs/shipped/$$network-healed/last.safetensors \
	    --out checkpoints/$$network.safetensors && \
	  $(BIN)/ssrnet extract --data assets/city --checkpoint checkpoints/$$network.safetensors \
	    --out assets/features && \
	  $(BIN)/ssrnet extract --data assets/city --checkpoint checkpoints/$$network.safetensors \
	    --out assets/features --explained || exit 1; \
	done
	set -e; compare="$(BIN)/ssrnet compare --baseline checkpoints/baseline.safetensors \
	  --ssrnet checkpoints/ssrnet.safetensors --untrained $(BACKBONE) --align-cameras"; \
	$$compare --data assets/city --slices sibling_group --out checkpoints/city.json; \
	$$compare --data $(TWOCAM) --protocols cross_camera --out checkpoints/twocam.json; \
	$$compare --data $(TWOCAM) --protocols cross_camera --only vehicle_type=car,truck \
	  --out checkpoints/twocam-four-wheel.json
	$(BIN)/ssrnet study alignment --baseline checkpoints/baseline.safetensors --ssrnet checkpoints/ssrnet.safetensors \
	  --publish assets && cp runs/alignment/town-report.json checkpoints/

# The package itself is built by the setuptools that the lock brings; isolated, pip would fetch another, unhashed.
.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv || { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

.venv/installed-test: .venv/installed requirements-test.lock
	$(PIP) --require-hashes -r requirements-test.lock
	touch $@

# Both locks from the pins of requirements.txt and pyproject.toml, for every platform and Python of the range. What they
# bring along keeps its version where it still fits; `make lock UPGRADE=--upgrade` takes the newest of it.
lock:
	@set -e; tool=$$(mktemp -d); trap 'rm -rf "$$tool"' EXIT; $(PYTHON) -m venv "$$tool"; \
	"$$tool/bin/pip" install --quiet --disable-pip-version-check $(UV); \
	compile="$$tool/bin/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes $(UPGRADE)"; \
	export UV_CUSTOM_COMPILE_COMMAND="make lock"; \
	$$compile --output-file requirements.lock requirements.txt pyproject.toml; \
	$$compile --output-file requirements-test.lock --constraints requirements.lock requirements.txt pyproject.toml \
	  --extra test --extra synth --extra export --extra index

# Known vulnerabilities of what the locks hold. --strict: a package that the advisory service does not answer for is a
# failure; without it pip-audit would say "No known vulnerabilities found".
audit:
	@set -e; tool=$$(mktemp -d); trap 'rm -rf "$$tool"' EXIT; $(PYTHON) -m venv "$$tool"; \
	"$$tool/bin/pip" install --quiet --disable-pip-version-check $(PIP_AUDIT); \
	for lock in requirements.lock requirements-test.lock; do \
	  "$$tool/bin/pip-audit" --strict --require-hashes --disable-pip --requirement $$lock; \
	done

clean:
	rm -rf .venv *.egg-info
