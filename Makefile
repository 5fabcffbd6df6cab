# make run        notebooks 00 to 06 and 12, top to bottom, on the embedded demo corpus
# make run CORPORA=ravdess      the same on real speech (or ravdess,crema_d,tess,savee, or all)
# RECIPE=… and EPOCHS=… beside it: another recipe, and another number of epochs than its own
# make lab        JupyterLab
# make test       style, types, and every test that is quick and needs nothing but this folder;
#                 COVERAGE=1 beside it counts the lines, which takes a third longer
# make test-real  tests on the real corpora (SER_CORPORA) and released weights (SER_PRETRAINED)
# make test-slow  sweeps, kills, many random examples, studies' notebooks, a fresh installation
# make docs       the site, into build/docs/html; with the page in it, where that was made
# make bench      measure speed and memory into reports/bench/
# make page       the page without a server, into build/page (fetches ONNX Runtime, 33 MB, once)
# make clean      remove what make made
# EXTRAS=ssl beside any of them: with wav2vec 2.0 and its kin too (installs PyTorch)

PYTHON ?= python3
CORPORA ?= demo
# variants in pitch, speed and level blur the rules that the demo's emotions are made of
RECIPE ?= $(if $(filter demo,$(CORPORA)),mfcc-attention)
EPOCHS ?=
EXTRAS ?=
COVERAGE ?=
comma := ,
VENV := .venv
TESTABLE := $(VENV)/installed-test$(addprefix -,$(subst $(comma),-,$(EXTRAS)))
BIN := $(VENV)/bin
export TF_CPP_MIN_LOG_LEVEL = 3
NOTEBOOKS := 00_quickstart 01_download 02_metadata 03_features 04_training 05_evaluation \
	06_inference 12_make_it_yours

.PHONY: run test test-real test-slow lab bench page docs lint clean

run: $(VENV)/installed
	$(BIN)/python tools/run_notebooks.py --corpora "$(CORPORA)" $(if $(RECIPE),--recipe "$(RECIPE)") \
		$(if $(EPOCHS),--epochs $(EPOCHS)) $(NOTEBOOKS)

# two workers with a core each: threads that wait for one another would only slow them down
test test-real test-slow: export OMP_NUM_THREADS = 1
test test-real test-slow: export OPENBLAS_NUM_THREADS = 1
test test-real test-slow: export TF_NUM_INTRAOP_THREADS = 1
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: $(TESTABLE) lint
	$(PYTEST) -m "not slow and not real" $(if $(COVERAGE),--cov --cov-report=term --cov-fail-under=90)

test-real: $(TESTABLE)
	$(PYTEST) -m "real and not slow"

test-slow: export HYPOTHESIS_PROFILE = slow
test-slow: $(TESTABLE)
	$(PYTEST) --reruns 1 -m "slow or hypothesis"

lint: $(TESTABLE)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lab: $(VENV)/installed
	$(BIN)/jupyter lab notebooks

bench: $(TESTABLE)
	$(BIN)/python tools/bench_features.py
	$(BIN)/python tools/bench_training.py
	$(BIN)/python tools/bench_inference.py
	$(BIN)/python tools/bench_page.py

page: $(VENV)/installed
	$(BIN)/python tools/page.py build/page

docs: $(VENV)/installed-docs
	$(BIN)/python tools/docs_build.py

$(VENV)/bin/python:
	$(PYTHON) -c "import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else 'Python 3.11 or newer is needed, found %d.%d. Name one: make PYTHON=python3.11' % v[:2])"
	$(PYTHON) -m venv --clear $(VENV)

# what a renamed or copied folder brings along runs the programs of the old place: made anew
PLACE := $(shell sed -n 's/^command = .* -m venv \(--[^ ]* \)*//p' $(VENV)/pyvenv.cfg 2>/dev/null)
ifneq ($(PLACE),$(if $(PLACE),$(CURDIR)/$(VENV)))
.PHONY: $(VENV)/bin/python $(VENV)/installed $(TESTABLE)
endif

# made anew whenever one of the files that name packages changed
$(VENV)/installed: requirements.txt constraints.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python tools/install.py -r requirements.txt
	touch $@

$(VENV)/installed-docs: constraints.txt pyproject.toml | $(VENV)/bin/python
	$(BIN)/python tools/install.py -e ".[docs]"
	touch $@

$(TESTABLE): $(VENV)/installed
	$(BIN)/python tools/install.py -e ".[notebooks,cluster,tune,export,formats,listen,app,test$(addprefix $(comma),$(EXTRAS))]"
	touch $@

clean:
	rm -rf $(VENV) build dist src/*.egg-info reports/executed htmlcov .coverage*
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
