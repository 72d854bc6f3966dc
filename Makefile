# make demo   a cluster on this machine: workloads, policies, who reaches whom
# make test   every check: format, lint, types, layers, tests with real packets
# make test-vm  only the tests that want another kernel, in a small virtual machine
# make test-processors  the pure packages and codecs on s390x and arm64, emulated
# make bench  the figures of the README, written to bench-results.json
# make docs   the documentation as a site, in build/site
# make fuzz   SECONDS=20 a target in search of input that breaks a reader
# All of them set up what they need first.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The daemons need the tools in sbin wherever they are started from.
export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: cnitool image test-image soak soak-cni soak-ipam bench-dataplane demo test test-vm test-processors test-stalls vm-if-possible lint unit kube-apiserver flannel manifests requirements bench test-vm-network bench-network bench-engine bench-ipam bench-cni fuzz pin clean help

help:
	@sed -n 's/^# //p' Makefile

$(READY): requirements.txt pyproject.toml tools/setup.sh
	@tools/setup.sh
	@touch $@

$(VENV)/.ready-demo: requirements.txt pyproject.toml tools/setup.sh
	@tools/setup.sh demo
	@touch $@

## A fresh machine gets what the demonstration needs; the rest when something is to be tested.
demo: $(if $(wildcard $(READY)),$(READY),$(VENV)/.ready-demo)
	@$(BIN)/tortie lab demo

## One run, whose virtual machine and tests print one table of the ways between nodes.
test: export TORTIE_RUN := $(shell cat /proc/sys/kernel/random/uuid)
test: lint kube-apiserver flannel cnitool vm-if-possible unit

lint: $(READY)
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check -q .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

unit: $(READY)
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile $(PYTEST_ARGS)

## In a virtual machine, with Debian's kernel: what this one lacks (docs/testing.md). Where there can
## be none `make test` says so and goes on; TORTIE_REQUIRE_VM=1 makes that an error.
test-vm: $(READY)
	@tools/setup.sh vm
	@PYTHONPATH=tests $(BIN)/python -m vm $(PYTEST_ARGS)

## Whole labs in the virtual machine: IPIP's rows of the table of modes in labs of their own, every
## change of a pool's mode to and from IPIP. Seven minutes.
test-vm-network: $(READY)
	@tools/setup.sh vm
	@TORTIE_LONG_NETWORK=1 PYTHONPATH=tests $(BIN)/python -m vm --seconds 1800 -- \
	    $(or $(PYTEST_ARGS),tests/network/test_modes.py tests/network/test_ipip_changes.py -k ipip)

## The pure packages and the codecs on other processors, emulated: some seven minutes each, since an
## emulator is slow; the first time two more, for Debian's Python and cross compilers.
PROCESSORS ?= s390x arm64
test-processors: $(READY)
	@PYTHONPATH=tests $(BIN)/python -m processors $(PROCESSORS)

## Tests while their processes stand still for moments, as on a machine with too much to do: about
## twice as long. PYTEST_ARGS says which; STALLS_ARGS='--seed N' makes the same stalls again.
test-stalls: $(READY)
	@PYTHONPATH=tests $(BIN)/python -m stalls $(STALLS_ARGS) -- -n auto --dist loadfile $(PYTEST_ARGS)

vm-if-possible: $(READY)
	@tools/setup.sh vm || true
	@PYTHONPATH=tests $(BIN)/python -m vm --optional --seconds 480

## Built once, kept in the user's cache. Without it tests that need one are skipped, and say so;
## TORTIE_REQUIRE_KUBE=1 makes that an error. docs/testing.md has more.
kube-apiserver: $(READY)
	@PYTHONPATH=tests $(BIN)/python -m servers.kube_build

## flannel's daemon and its CNI plugin, likewise (TORTIE_REQUIRE_FLANNEL).
flannel: $(READY)
	@PYTHONPATH=tests $(BIN)/python -m servers.flannel_build

docs: $(READY)
	@$(BIN)/mkdocs build --strict --quiet
	@echo 'docs: build/site/index.html'

## The pages of resources and commands, from the code.
reference: $(READY)
	@$(BIN)/python tools/reference.py

## libcni's own command, built once likewise; without it tests that need it are skipped.
cnitool: $(READY)
	@PYTHONPATH=tests $(BIN)/python -m servers.cnitool_build

manifests: $(READY)
	@$(BIN)/python tools/manifests.py

## docs/requirements.md, of the checks of `tortie node check`.
requirements: $(READY)
	@$(BIN)/python tools/requirements.py

## One image with all that a node needs, from Debian's packages: build/tortie-image-*.tar (docs/image.md).
ARCHITECTURE ?= $(shell dpkg --print-architecture)
image: $(READY)
	@$(BIN)/python -m tools.image --architecture $(ARCHITECTURE)

## Built twice and compared, then run by a real containerd, agent and all.
test-image: $(READY)
	@TORTIE_IMAGE_TESTS=1 $(BIN)/pytest tests/install/test_image.py $(PYTEST_ARGS)

## What policy costs: edits, packets, an agent at rest, each beside its rival and its bound.
bench-dataplane: $(READY)
	@$(BIN)/python -m bench nftables iptables qos dataplane_packets dataplane_agent repair routes
	@$(BIN)/python -m bench._wanted || true

## The differential test and the kills with new seeds, for as long as one wants; Ctrl-C ends it.
MINUTES ?= 10
soak: $(READY)
	@PYTHONPATH=tests $(BIN)/python -m dataplane.proof.soak --minutes $(MINUTES)

bench-network: $(READY)
	@$(BIN)/python -m bench network bgp

bench-engine: $(READY)
	@$(BIN)/python -m bench engine

bench-ipam: $(READY)
	@$(BIN)/python -m bench ipam

## Containers that come and go while agent and plugins are killed: nothing is left. SEED begins
## elsewhere.
CYCLES ?= 1000
SEED ?= 7
soak-cni: $(READY) kube-apiserver
	@TORTIE_CNI_CYCLES=$(CYCLES) TORTIE_SEED=$(SEED) $(BIN)/pytest -s tests/cni/test_churn.py

## Pods that come and go on many nodes, nodes that die, on etcd and on kube-apiserver: at the end
## nothing has leaked. About ten minutes on a quiet machine.
PODS ?= 10000
NODES ?= 50
soak-ipam: $(READY) kube-apiserver
	@TORTIE_SOAK_PODS=$(PODS) TORTIE_SOAK_NODES=$(NODES) $(BIN)/pytest --durations=2 \
	    tests/controllers/test_soak.py

## The plugin's calls beside the reference plugins', and each aim beside what was measured.
bench-cni: $(READY)
	@$(BIN)/python -m bench cni

bench: $(READY) kube-apiserver
	@$(BIN)/python -m bench

## Its library lies beside the pinned packages, where neither `make test` nor `make pin` sees it.
SECONDS ?= 20
FUZZ := $(VENV)/fuzz

fuzz: $(READY) $(FUZZ)/.ready
	@PYTHONPATH=$(FUZZ) $(BIN)/python -m fuzz --seconds $(SECONDS)

$(FUZZ)/.ready: fuzz/requirements.txt
	@echo 'fuzz: installing atheris'
	@$(BIN)/pip install --quiet --disable-pip-version-check --upgrade --no-deps \
	    --target $(FUZZ) --requirement fuzz/requirements.txt
	@touch $@

pin: $(READY)
	( echo '# Exact versions of all that .venv holds; made by `make pin`.'; \
	  $(BIN)/pip freeze --exclude-editable ) > requirements.txt

clean:
	rm -rf $(VENV) build dist bench-results.json
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
