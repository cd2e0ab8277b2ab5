# make refresh [DATA=folder]   raw samples in, a registered dataset out (without DATA: the sample product)
#              [LAYOUT=name]   in which layout these lie, instead of what is detected   [LICENCE=text] of these, for cards
#              [PROFILE=name]  with the parameters of profiles/name.yaml   [SHARED=1] one generator for all products
#              [PARTS=number]  with the pairs of each defect made in so many stages, which may run on as many machines
# make prior                   make the prior that the inpainting generator starts from anew, on drawn scenes, and put it into the package
# make retrain                 retrain the detectors on what is champion in MLflow; with `make up` that follows every refresh
# make audit                   follow the lineage of every champion back to the raw samples; with `make up` that is done every week
# make up / make down          leave Airflow's and MLflow's pages running / stop them   [PORT=, MLFLOW_PORT=]
# make test / make check       everything that must hold / the static part of it; .venv/bin/pytest -m long: the long faults

PYTHON := python3
SAMPLE := data/raw/plate
DATA := $(SAMPLE)
LAYOUT :=
LICENCE :=
PROFILE :=
SHARED :=
PARTS :=
PORT :=
MLFLOW_PORT :=
export DATA

BIN := .venv/bin
INSTALLED := .venv/installed
KUBEFLOW := .venv-kubeflow/installed
HEADLESS := $(BIN)/python -m dags.headless

.PHONY: refresh prior retrain audit up down test check

refresh: $(INSTALLED) $(if $(subst $(SAMPLE),,$(DATA)),,$(SAMPLE))
	@$(HEADLESS) refresh --data "$${DATA:-$(SAMPLE)}" $(if $(PORT),--port $(PORT)) \
	  $(if $(LAYOUT),--layout "$(LAYOUT)") $(if $(LICENCE),--licence "$(LICENCE)") $(if $(PROFILE),--profile "$(PROFILE)") $(if $(SHARED),--shared) \
	  $(if $(PARTS),--parts "$(PARTS)")

prior: $(INSTALLED)
	cd prior && PATH="$(CURDIR)/$(BIN):$$PATH" dvc repro
	$(BIN)/defectline prior ship

retrain: $(INSTALLED)
	@$(HEADLESS) retrain $(if $(PORT),--port $(PORT))

audit: $(INSTALLED)
	@$(HEADLESS) audit $(if $(PORT),--port $(PORT))

up: $(INSTALLED)
	@$(HEADLESS) up $(if $(PORT),--port $(PORT)) $(if $(MLFLOW_PORT),--mlflow-port $(MLFLOW_PORT))

down: $(INSTALLED)
	@$(HEADLESS) down

test: check $(KUBEFLOW)
	$(BIN)/pytest -n 2

check: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/mypy -p dags.headless
	$(BIN)/lint-imports

$(SAMPLE): | $(INSTALLED)
	$(BIN)/defectline sample $@

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("$(PYTHON) is Python " + \
	  sys.version.split()[0] + "; 3.11 to 3.13 is needed. Name one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[stages,export,airflow,cluster,dev]'
	@touch $@

# kfp's kubernetes client is older than Airflow's provider takes.
$(KUBEFLOW): pyproject.toml constraints-kubeflow.txt | $(INSTALLED)
	$(PYTHON) -m venv .venv-kubeflow
	.venv-kubeflow/bin/pip install --quiet --constraint constraints-kubeflow.txt --editable '.[kubeflow]'
	@touch $@
