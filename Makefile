# The recipes that people and continuous integration share. `make setup` is part of each that needs it.

UV := $(shell command -v uv || echo .tools/bin/uv)
BIN := .venv/bin
# Import packages and distributions, by the layout: <member>/src/panoreel/<package>, <member>/pyproject.toml.
IMPORTS := $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard contracts/src/panoreel/*/py.typed client/src/panoreel/*/py.typed services/*/src/panoreel/*/py.typed deploy/local/src/panoreel/*/py.typed tests/bench/src/panoreel/*/py.typed)))))
# What the recorder is compared with.
PEERS := xvfb ffmpeg $(addprefix gstreamer1.0-,tools plugins-base plugins-good plugins-ugly libav pulseaudio)
SERVICES := $(notdir $(patsubst %/,%,$(dir $(wildcard services/*/pyproject.toml))))

# Tests that wait more than they compute run beside each other, so many at once. Recordings need the machine alone.
WORKERS ?= 2
BESIDE := contracts client $(addprefix services/,dispatch notifier transcoder uploader) deploy tests/conformance tests/javascript
ALONE := $(filter-out $(BESIDE) tests/servers %/__pycache__,$(patsubst %/,%,$(wildcard services/*/ tests/*/)))

export URL OUT
export UV_PYTHON_DOWNLOADS := never
# The system's certificates, as for git and apt.
export UV_SYSTEM_CERTS := 1
unexport VIRTUAL_ENV

.PHONY: setup record up test bench soak check check-alone fmt clean

setup: ## install what is missing: system packages, uv, the Python packages of uv.lock
	@deploy/local/setup.sh

record: setup ## record a page: URL= (the demo page if empty) SECONDS= WIDTH= HEIGHT= OUT=
	@$(BIN)/panoreel record $${URL:+"$$URL"} $${OUT:+--out "$$OUT"} \
		$(if $(SECONDS),--seconds $(SECONDS)) $(if $(WIDTH),--width $(WIDTH)) $(if $(HEIGHT),--height $(HEIGHT))

up: setup ## run the whole stack until Ctrl-C
	@$(BIN)/panoreel up

test: setup
	@command -v node >/dev/null || deploy/local/setup.sh nodejs
	@deploy/local/setup.sh $(PEERS)
	$(BIN)/pytest -m "not soak" --numprocesses $(WORKERS) --dist worksteal $(BESIDE); beside=$$?; \
		$(BIN)/pytest -m "not soak" $(ALONE) && exit $$beside

bench: setup ## the API's figures in JSON, 1 if a target is missed; the recorder's into docs/benchmarks.md, half an hour
	@deploy/local/setup.sh $(PEERS)
	@missed=0; \
	echo "Describe, 8 clients, of dispatch without and with a key file, and of a bare SELECT: requests a second, ms" >&2; \
	$(BIN)/python -m tests.bench.bench_describe || missed=1; \
	echo "Start, 1 and 8 clients, of dispatch without and with a key file: requests a second, ms" >&2; \
	$(BIN)/python -m tests.bench.bench_start || missed=1; \
	$(BIN)/panoreel bench all && exit $$missed

soak: setup ## the long rows of the tests, in full
	@deploy/local/setup.sh $(PEERS)
	$(BIN)/pytest -m soak

check: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy $(IMPORTS:%=-p panoreel.%)
	$(BIN)/mypy tests conftest.py
	$(BIN)/lint-imports
	$(UV) lock --check --offline
	@$(MAKE) --no-print-directory check-alone

check-alone: ## install each distribution alone and import it
	@set -e; env=$$(mktemp -d); trap 'rm -rf "$$env"' EXIT; \
	for name in contracts client $(SERVICES) local bench; do \
		case $$name in contracts) module=contracts.events;; client) module=client;; bench) module=bench.commands;; *) module=$$name.main;; esac; \
		echo "panoreel-$$name alone: import panoreel.$$module"; \
		UV_PROJECT_ENVIRONMENT=$$env $(UV) sync --quiet --frozen --no-dev --no-editable \
			--python "$(CURDIR)/$(BIN)/python" --package panoreel-$$name; \
		(cd "$$env" && bin/python -c "import panoreel.$$module"); \
	done

fmt: setup
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

clean: ## remove what make and the tools have made; recordings and data directories stay
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .artifacts
	find . -name __pycache__ -prune -exec rm -rf {} +
