# `make` alone prints what there is. Variables such as KP_PORT are taken from the environment or from the command line:
#     make run KP_PORT=5070

.DEFAULT_GOAL := help
.PHONY: help run check migrate user certificate demo test lint conformance bench clean install install-demo install-lint install-test

CTL := .venv/bin/presencectl
# Several processes side by side (tests/conftest.py says how many), each of which keeps what Python has compiled.
PYTEST := env -u PYTHONDONTWRITEBYTECODE .venv/bin/pytest --numprocesses auto --dist worksteal
PYTEST_ARGUMENTS ?=

# A value of the command line is taken as it is written: make itself would replace the $u of $uid-list, or of a password.
$(foreach name,$(filter KP_% ADDRESS PASSWORD,$(.VARIABLES)),$(if $(filter command,$(origin $(name))),\
	$(eval override export $(name) := $$(value $(name)))))

help:  ## print this list
	@echo "kemi-presence, a SIP/SIMPLE presence server. Targets:"
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

run: install  ## install what is missing and run the server in the foreground
	@exec $(CTL) run

check: install  ## check configuration and database without starting
	@$(CTL) check

migrate: install  ## bring the schema of the database up to date (run does it too)
	@$(CTL) migrate

user: install  ## add a user: make user ADDRESS=alice@example.org PASSWORD=secret
	@test -n "$$ADDRESS" || { echo "usage: make user ADDRESS=alice@example.org [PASSWORD=secret]"; exit 2; }
	@$(CTL) user add "$$ADDRESS"

certificate: install  ## make a self-signed certificate in var/ to try TLS with (KP_DEFINES=WITH_TLS make run)
	@tools/make-certificate

demo: install-demo  ## play a short story on spare ports: alice is watched by bob
	@.venv/bin/python demo/play.py

test: install-test  ## install what tests need and run everything: ruff, mypy, pytest
	.venv/bin/ruff check .
	.venv/bin/mypy --strict kemi
	$(PYTEST) $(PYTEST_ARGUMENTS)

lint: install-lint  ## ruff and mypy only
	.venv/bin/ruff check .
	.venv/bin/mypy --strict kemi

conformance: install-lint  ## print area by area which lines of the RFCs tests cover
	@.venv/bin/python tests/conformance.py

bench: install-test  ## measure against Kamailio's own presence module
	@.venv/bin/python bench/run.py

clean:  ## remove what make, tests and tools made; var/ with the database stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis node_modules tests/interop/sipjs/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

install:
	@tools/install-debian packages/run.txt
	@tools/install-python requirements/run.txt

install-demo: install
	@tools/install-debian packages/demo.txt

install-lint: install
	@tools/install-python requirements/test.txt

install-test:
	@tools/install-debian packages/run.txt packages/demo.txt packages/test.txt
	@tools/install-python requirements/run.txt
	@tools/install-python requirements/test.txt
