# `make` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help cargo demo test test-all model lint format clippy bench sim
SHELL := /bin/sh
TEST_TOOLS := nginx ssh sshd busybox dash shellcheck ansible-inventory nc openssl curl wget visudo flock setsid groovy
export PATH := $(PATH):/usr/sbin:/sbin:$(HOME)/.cargo/bin

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile
	@.ci/need cargo

# The first step of whatever compiles: says how to get a usable cargo, and stops.
cargo:
	@.ci/need cargo cc

demo: cargo ## A real deploy, a bad one that reverts itself and a rollback, on this machine
	@.ci/need nginx
	cargo run --quiet --bin nonstop -- demo $(ARGS)

test: cargo ## All tests, those on the real fleet of containers too (KEEP=1 leaves it up)
	@.ci/need $(TEST_TOOLS)
	@.ci/test

test-all: cargo ## The same, and every crash on the real fleet: an hour or more in all
	@.ci/need $(TEST_TOOLS)
	@.ci/test all

model: cargo ## Every state of the commit protocol (ARGS=quick is what CI runs, ARGS="without fence" shows why)
	cargo run --quiet --package nonstop-model -- $(or $(ARGS),full)

lint: format clippy ## Formatting, clippy and shellcheck, with warnings as errors

format: cargo
	@.ci/need shellcheck visudo
	cargo fmt --all --check
	shellcheck -x -P SCRIPTDIR .ci/need .ci/run .ci/sim .ci/test tests/fleet/ctl tests/fleet/host/*
	git ls-files -z --cached --others --exclude-standard -- '*.sh' | xargs -0 shellcheck -x
	visudo -cqf examples/sudoers/nonstop

clippy: cargo
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --workspace --test fleet -- -D warnings
	cargo clippy --workspace --features nonstop/defects --test sim --test fleet -- -D warnings

bench: cargo ## nonstop beside bare parallel ssh and scp: the same deploy on the same fleet
	@.ci/need ssh
	@tests/fleet/ctl up
	@tests/fleet/bench

sim: cargo ## The simulator: SEEDS=1000000 plays more, ARGS='--seed N' tells one step by step
	@.ci/sim $(ARGS)
