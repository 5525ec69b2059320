# `make demo` and `make test` set everything up themselves: scripts/setup.sh says what that is.
SHELL := /bin/bash
.DEFAULT_GOAL := help
ENV := . scripts/test-env.sh &&
COLLECTION := .ansible/collections/ansible_collections/kasops/gitlab_kas

.PHONY: help setup demo test lint unit molecule sanity compat execution-environment matrix fuzz package bench build docs changelog \
  clean

help: ## Show what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 24

setup: ## Install what the tests and the demo need
	@scripts/setup.sh

demo: setup ## Turn three local test hosts into one KAS cluster
	@scripts/demo.sh

test: lint unit molecule ## Run every check
	@echo 'All checks passed.'

lint: setup ## Check style, types and Ansible's rules
	@scripts/awx_collection.sh
	$(ENV) ruff check .
	$(ENV) ruff format --check .
	$(ENV) cd $(COLLECTION)/../../.. && mypy --config-file ansible_collections/kasops/gitlab_kas/pyproject.toml \
	  -p ansible_collections.kasops.gitlab_kas.plugins
	$(ENV) ansible-lint --offline --strict
	$(ENV) antsibull-docs lint-collection-docs --plugin-docs .
	$(ENV) antsibull-changelog lint
	scripts/importer.sh
	scripts/execution-environment.sh create
	$(ENV) check-jsonschema --builtin-schema vendor.gitlab-ci .gitlab-ci.yml
	$(ENV) check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	! command -v rubocop >/dev/null || rubocop scripts

unit: setup ## Run the unit and the property tests, and hold the stand-in to the package's answers
	@scripts/awx_collection.sh
	$(ENV) pytest -n auto

molecule: setup ## Run most of Molecule's scenarios on three test hosts (SCENARIO=--all; SCENARIO="-s cluster" for one)
	scripts/test-hosts.sh $(SCENARIO)

sanity: ## Run ansible-test sanity on each ansible-core from 2.16 to 2.21 (half an hour and more)
	scripts/sanity.sh

compat: setup ## Try each ansible-core, and on nodes each Python from 3.9 on (an hour and more)
	scripts/compat.sh

execution-environment: setup ## Build the execution environment, and run scenario cluster from within it
	scripts/execution-environment.sh build
	scripts/execution-environment.sh run

matrix: setup ## Try ansible-core 2.16, 2.18, 2.19 and 2.21, and that none of them shows a secret
	scripts/matrix.sh

package: ## Run the playbooks on a real GitLab image (KAS_TEST_IMAGE=…) or on hosts of yours (KAS_TEST_INVENTORY=…)
	@scripts/test-package.sh

fuzz: setup ## Run the property tests for long: 50,000 files, 20,000 inventories, 200 deployments
	$(ENV) KAS_FUZZ_EXAMPLES=50000 pytest -s tests/property/test_invariant.py
	$(ENV) KAS_FUZZ_PLANS=20000 pytest -s tests/property/test_plan.py
	$(ENV) KAS_FUZZ_DEPLOYMENTS=200 pytest -s tests/property/test_convergence.py

bench: setup ## Measure whole runs and gitlab_rb; writes docs/performance.md (KAS_BENCH_RUNS=2 for a quick one)
	$(ENV) python tests/bench/bench.py
	$(ENV) python tests/bench/runs.py
	$(ENV) python tests/bench/logs.py

build: setup ## Build the collection's tarball
	$(ENV) ansible-galaxy collection build --force

docs: ## Build the documentation as a site in .cache/docs/html, and check its links
	@python3 scripts/docs.py

changelog: setup ## Make the next release's part of CHANGELOG.md from changelogs/fragments/
	$(ENV) cd $(COLLECTION) && antsibull-changelog release --reload-plugins --refresh --update-existing
	@rm changelogs/.plugin-cache.yaml # which is asked for anew each time

clean: ## Take everything away that the other targets made
	@scripts/clean.sh
