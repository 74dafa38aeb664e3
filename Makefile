# `make app` installs and serves the Explorer; `make test` installs what the tests need and runs them.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: app test checkpoints clean

# Two heaps for all threads: Streamlit runs every gesture in a thread of its own, and glibc gives each a heap whose free
# memory the others cannot use. After 640 gestures the server takes 1.6 GB and not 1.75.
app: .venv/installed
	MALLOC_ARENA_MAX=2 $(BIN)/streamlit run app/main.py

test: .venv/installed-test
	sh tests/browser/install_chromium.sh
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# Trains, publishes and measures checkpoints/ again; CITY is what `ssrnet synth --recipe training` rendered.
checkpoints: .venv/installed
	@test -d "$(CITY)" -a -d "$(TWOCAM)" -a -f "$(BACKBONE)" || \
	  { echo "usage: make checkpoints CITY=DIR TWOCAM=DIR BACKBONE=FILE (the data sets, the ImageNet ResNet-50)"; exit 1; }
	for network in baseline ssrnet; do \
	  train="$(BIN)/ssrnet train --network $$network --data $(CITY) --more-data $(TWOCAM) --cache runs/shipped/cache"; \
	  $$train --recipe shipped --backbone-weights $(BACKBONE) --out runs/shipped/$$network && \
	  $$train --recipe shipped-256 --backbone-weights none --start-from runs/shipped/$$network/last.safetensors \
	    --out runs/shipped/$$network-256 && \
	  $(BIN)/ssrnet publish --checkpoint runs/shipped/$$network-256/last.safetensors \
	    --out checkpoints/$$network.safetensors && \
	  $(BIN)/ssrnet extract --data assets/city --checkpoint checkpoints/$$network.safetensors \
	    --out assets/features || exit 1; \
	done
	set -e; compare="$(BIN)/ssrnet compare --baseline checkpoints/baseline.safetensors \
	  --ssrnet checkpoints/ssrnet.safetensors --untrained $(BACKBONE)"; \
	$$compare --data assets/city --slices sibling_group --out checkpoints/city.json; \
	$$compare --data $(TWOCAM) --protocols cross_camera --out checkpoints/twocam.json; \
	$$compare --data $(TWOCAM) --protocols cross_camera --only vehicle_type=car,truck \
	  --out checkpoints/twocam-four-wheel.json

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv || { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt -e .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements.txt -e ".[test,synth,export,index]"
	touch $@

clean:
	rm -rf .venv *.egg-info
