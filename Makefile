# The habits of this repository. Every target sets up what it needs, in .venv, and is quick where nothing changed.
# `make test ARGS="-k photo"` hands arguments on to what the target runs.
.DELETE_ON_ERROR:
.PHONY: help setup setup-test demo serve mask-model test loadtest fuzz faults check lint types layers security secrets format bench docs clean
export PYTHON EXTRAS

RUN = .venv/bin/python -m
ROOMS = encoder vector_db catalog matching indexer service training demo loadtests bench scripts cli.py flags.py arguments.py verbs.py verbs_bundles.py verbs_edits.py verbs_service.py verbs_training.py terminal.py settings.py errors.py

help: ## This list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

setup: ## Make .venv with the pinned serving dependencies, and the flukeprint command in it
	@scripts/setup serve

setup-test:
	@scripts/setup test

demo: setup ## Enrol drawn animals, identify unseen photos of them, then serve them over HTTP; ONCE=1 ends before that
	@$(RUN) demo $(if $(ONCE),--once) $(ARGS)

serve: setup ## The REST service, on http://127.0.0.1:8000 until stopped
	@exec .venv/bin/flukeprint serve $(ARGS)

mask-model: setup ## Put the model that removes backgrounds in place (an extra: make setup EXTRAS=mask)
	@$(RUN) scripts.mask_model $(ARGS)

# Many tests wait for processes that they start and kill, so they share cores well; a file's tests stay together, with what they made.
test: setup-test ## Every test
	@$(RUN) pytest -n logical --maxprocesses 4 --dist loadfile $(ARGS)

fuzz: setup-test ## Generated requests over the whole API, many of them, and fifty kills of the service
	@FLUKEPRINT_TEST_EXAMPLES=200 FLUKEPRINT_TEST_LINKS_S=600 FLUKEPRINT_TEST_KILLS=50 $(RUN) pytest tests/service -k "generated or killed" -rP $(ARGS)

loadtest: ## A load test of a service of its own, with its report in report/; SCENARIO=overload and others
	@scripts/setup load
	@.venv/bin/flukeprint loadtest $(if $(SCENARIO),--scenario $(SCENARIO)) $(ARGS)

faults: setup-test ## The kill tests alone, 100 kills each, and a minute of asking while enrolling
	@FLUKEPRINT_TEST_KILLS=100 FLUKEPRINT_TEST_TOGETHER_S=60 $(RUN) pytest -m faults --timeout 3600 $(ARGS)

check: lint types layers security secrets ## All the checks below; what CI and the pre-commit hooks run

lint: setup-test ## Format and lint, changing nothing
	@$(RUN) ruff format --check .
	@$(RUN) ruff check .

types: setup-test ## mypy, strict
	@$(RUN) mypy

layers: setup-test ## Which room may import which
	@.venv/bin/lint-imports --no-logo

security: setup-test ## Bandit
	@$(RUN) bandit --quiet --configfile pyproject.toml --recursive $(ROOMS)

secrets: setup-test ## Keys, tokens and passwords in files
	@$(RUN) scripts.secrets_check

format: setup-test ## Put the code into shape
	@$(RUN) ruff check --fix-only .
	@$(RUN) ruff format .

bench: setup-test ## Measure, print one table of ratios, and keep it in bench/results/
	@$(RUN) bench $(ARGS)

docs: setup-test ## Write docs/commands.md and docs/settings.md anew from the code
	@$(RUN) scripts.reference

clean: ## Remove .venv and everything that the tools leave behind
	@rm -rf .venv build report runs demo/data .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@rm -rf .coverage .coverage.* flukeprint.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
