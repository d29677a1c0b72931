# `make demo` shows kube9 at work, `make test` passes the tests; both set up what they need in .venv.
PYTHON ?= python3
BIN = .venv/bin
DEMO = .demo/kube9.db
CLUSTER = $(BIN)/python tests/cluster/cluster.py

# What is written from queries.yaml and rules.yaml and kept in the tree.
GENERATED = kube9/__init__.pyi docs/commands.md docs/reasons.md
written = env -u KUBE9_QUERIES -u KUBE9_RULES $(BIN)/kube9 $(command-of-$(notdir $(1)))
command-of-__init__.pyi = spec export stubs
command-of-commands.md = spec export markdown
command-of-reasons.md = rules show --format markdown

.PHONY: demo test test-cluster test-all check format generate bench lock clean

demo: .venv/ready
	@rm -rf .demo
	$(BIN)/kube9 import --db $(DEMO) tests/data/sample-events.json
	$(BIN)/kube9 query events list --db $(DEMO) --limit 1
	$(BIN)/kube9 query events list --db $(DEMO) --limit 20 --format table
	$(BIN)/kube9 query events list --db $(DEMO) --severity error,critical --format table
	@echo
	@echo "These were the events of a small cluster. With your own cluster, as kubectl reaches it:"
	@echo "    $(BIN)/kube9 serve --db my.db                                  # records until Ctrl-C"
	@echo "    $(BIN)/kube9 query events list --db my.db --since 1h -o table  # in another terminal"
	@echo "or without a recorder, what the cluster still remembers:"
	@echo "    kubectl get events -A -o json | $(BIN)/kube9 import --db my.db -"

test: .venv/ready
	$(BIN)/pytest -m "not cluster and not node"

# The tests that need a Kubernetes: built from source on the first run, which takes minutes. Needs root, Go, and the
# packages that tests/cluster/README.md lists.
test-cluster: .venv/ready
	$(BIN)/python tests/cluster/kube9_images.py
	cd tests/extension && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	$(CLUSTER) run --node -- $(BIN)/pytest -m "cluster or node"

# Side by side, because those with a cluster wait most of the time; what each printed comes in one piece.
test-all: .venv/ready
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target --keep-going test test-cluster

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/kube9 spec check
	$(BIN)/kube9 rules check
	@$(foreach file,$(GENERATED),$(call written,$(file)) | cmp -s - $(file) || { echo "$(file) is stale: make generate"; exit 1; };)

format: .venv/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: .venv/ready
	@set -e; $(foreach file,$(GENERATED),$(call written,$(file)) > .page; mv .page $(file);)

bench: .venv/ready
	$(BIN)/python bench/start_up.py

# Hashes and no index address, so that every index that serves the same files will do. The second is what the image is built from:
# the same versions, without the tools of development.
LOCK = uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
	--no-header --python-version 3.11
lock:
	$(LOCK) --upgrade --group dev --output-file requirements.lock pyproject.toml
	$(LOCK) --constraint requirements.lock --group build --output-file requirements-image.lock pyproject.toml

.venv/ready: requirements.lock pyproject.toml hatch_build.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "kube9 needs Python 3.11 or newer; make PYTHON=… names one")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf .venv .demo dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
