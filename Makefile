# Weir. `make install`, then `make demo` to see it or `make test` to try it.
# Sandbox, Mininet and demo make network namespaces: they run as root, through sudo where make does not.

UV_VERSION := 0.13.9
UV         := .tools/bin/uv
SUDO       := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
PYTEST     := .venv/bin/python -m pytest -q
# Root leaves no files of its own in an ordinary user's clone.
AS_ROOT    := $(SUDO) env PYTHONDONTWRITEBYTECODE=1
ROOT_TESTS := $(AS_ROOT) SECOND_TRIES=$(SECOND_TRIES) packaging/run-tests
CODE       := policies ovsdb controller weir tests mininet_tests $(wildcard lab demo bench)

export UV_PYTHON_DOWNLOADS := never

.DELETE_ON_ERROR:
.PHONY: install packages check sandbox mininet dpdk vm test demo bench clean

install: packages .venv/.installed

packages:
	@packaging/install-debian-packages

$(UV): Makefile | packages
	python3 -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

.venv/.installed: $(UV) pyproject.toml uv.lock $(wildcard packaging/ryu_on_current_eventlet.*)
	$(UV) sync --frozen --compile-bytecode
	@.venv/bin/python -m compileall -q policies ovsdb controller weir
	@touch $@

# One directory a run, so that one that holds no test fails (pytest's exit status 5).
check: install
	.venv/bin/ruff format --check $(CODE)
	.venv/bin/ruff check $(CODE)
	.venv/bin/mypy
	$(PYTEST) tests/test_architecture.py
	$(PYTEST) -n 2 tests/unit
	$(PYTEST) tests/golden
	$(PYTEST) -n 2 tests/laws

# Two modules at a time, and then those that measure, each alone. What fails in the first part does not hide the second.
sandbox: install
	@status=0; \
	$(ROOT_TESTS) -n 2 --dist loadfile --timeout=600 -m "not alone" tests/sandbox || status=1; \
	$(ROOT_TESTS) --timeout=600 -m alone tests/sandbox || status=1; \
	exit $$status

mininet: install
	$(ROOT_TESTS) mininet_tests

# With the packages of debian-packages-dpdk.txt, and a GB of memory for huge pages, which it gives back.
dpdk: install
	@packaging/install-debian-packages debian-packages-dpdk.txt
	$(ROOT_TESTS) tests/dpdk

# In emulated guests: root here is not needed. Each module has one of its own; two run at a time.
vm: install
	.venv/bin/python -m lab.vm
	packaging/run-tests -n 2 --dist loadfile tests/vm

test: check
	@packaging/run-root-tests

demo: install
	$(AS_ROOT) .venv/bin/python -m demo

# WRITE=1 puts the table into docs/bench.md.
bench: install
	$(AS_ROOT) .venv/bin/python -m bench $(if $(WRITE),--write)

clean:
	rm -rf .venv .tools .vm .runtimes .libvirt .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	find . -name '*.actual' -type f -delete
