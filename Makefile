# The commands of the README are `make demo`, `make test` and `make hil`; each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ROUTER := .router
RIG := .hil/venv
C_SOURCES := $(shell find board serial_runtime/include -name '*.[ch]')
PY_DIRS := serial_runtime codegen tests benchmarks hil examples setup.py board/ffi_build.py board/packaging

# How our own stubs are generated.
STUBS := --runtime serial_runtime.rpc.stub_api -o serial_runtime/rpc

.PHONY: demo test lint format stubs hil hil-full bench wheels deb clean

# An editable install; made again when the packaging, the C shim or its binding changes.
$(VENV)/ready: pyproject.toml setup.py setup.cfg board/ffi_build.py $(C_SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# The WAMP router that tests talk to. Its packages change what the client's library imports, so it
# is kept apart from ours.
$(ROUTER)/ready:
	test -x $(ROUTER)/bin/python || $(PYTHON) -m venv $(ROUTER)
	$(ROUTER)/bin/python -m pip install --quiet crossbar "numpy<2; python_version < '3.13'"
	touch $@

# The rig's tools; labgrid brings a pyserial of its own, so apart from ours.
$(RIG)/ready: $(VENV)/ready
	test -x $(RIG)/bin/python || $(PYTHON) -m venv $(RIG)
	$(RIG)/bin/python -m pip install --quiet --editable '.[hil]'
	touch $@

demo: $(VENV)/ready
	$(BIN)/serial-runtime demo

test: lint $(ROUTER)/ready
	$(BIN)/python -m pytest -q

lint: $(VENV)/ready
	$(BIN)/ruff check $(PY_DIRS)
	$(BIN)/ruff format --check $(PY_DIRS)
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(shell find board serial_runtime tests -name '*.[ch]')
	$(BIN)/python -m serial_codegen idl serial_runtime/rpc/ide.erpc $(STUBS) --check
	$(BIN)/python -m serial_codegen idl serial_runtime/rpc/board.erpc $(STUBS) --check

format: $(VENV)/ready
	$(BIN)/ruff check --fix $(PY_DIRS)
	$(BIN)/ruff format $(PY_DIRS)
	$(BIN)/clang-format -i $(shell find board serial_runtime tests -name '*.[ch]')

# The committed eRPC stubs, from their interface descriptions.
stubs: $(VENV)/ready
	$(BIN)/python -m serial_codegen idl serial_runtime/rpc/ide.erpc $(STUBS)
	$(BIN)/python -m serial_codegen idl serial_runtime/rpc/board.erpc $(STUBS)

# Scenarios on boards: the simulator and an emulated arm64 board; `hil-full`: armhf and the long
# ones, too. Needs QEMU, see .ci/run. HIL: options of `python -m hil`, and of pytest.
hil: $(RIG)/ready
	$(RIG)/bin/python -m hil $(HIL)

hil-full: $(RIG)/ready
	$(RIG)/bin/python -m hil --full $(HIL)

# Figures, each beside a reference run; needs cyclictest (Debian: rt-tests) for the latency one.
bench: $(VENV)/ready
	$(BIN)/python -m benchmarks

# For boards, cross compiled (gcc-aarch64-linux-gnu, gcc-arm-linux-gnueabihf), and for this host.
wheels: $(VENV)/ready
	$(BIN)/python -m board.packaging.wheels

# The Debian packages: make deb ARCH=arm64, armhf or amd64 (default: this host's).
deb: $(VENV)/ready
	$(BIN)/python -m board.packaging.deb $(ARCH)

clean:
	rm -rf $(VENV) $(ROUTER) .hil build dist *.egg-info serial_runtime/_board.c serial_runtime/_board*.so
