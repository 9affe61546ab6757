# Two commands matter: `make demo` and `make test`. Both set the machine up themselves.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test setup-demo setup-test format lint licences deploy-lint unit bench bench-stream peers drill

export WARDSTREAM_MODELS ?= $(CURDIR)/.cache/models
export WARDSTREAM_KAFKA_LIBS ?= $(CURDIR)/.cache/kafka/libs
export WARDSTREAM_SEAWEEDFS ?= $(CURDIR)/.cache/seaweedfs/weed
export WARDSTREAM_DUCKDB ?= $(CURDIR)/.cache/duckdb
export WARDSTREAM_CHROMEDRIVER ?= $(shell command -v chromedriver 2>/dev/null || echo /usr/bin/chromedriver)
TOOLS := $(CURDIR)/.cache/tools

help: ## What there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /make \1\t/' | expand -t 16

demo: setup-demo ## Run the whole line on a synthetic hospital: make demo ARGS="--messages 2000 --exit"
	cargo build --release --locked --package wardstream-cli
	./target/release/wardstream standalone --demo $(ARGS)

test: setup-test format lint licences deploy-lint unit ## Run every check and every test

setup-demo:
	@deploy/local/setup.sh demo

setup-test:
	@deploy/local/setup.sh test

format: setup-test
	cargo fmt --all --check

lint: setup-test
	cargo clippy --locked --workspace --all-targets -- --deny warnings

# cargo-deny reads the crates of every target, and the build fetched those of one.
licences: setup-test
	cargo fetch --locked --quiet
	$(TOOLS)/cargo-deny --offline check licenses bans sources
	@[[ -d "$${CARGO_HOME:-$$HOME/.cargo}/advisory-dbs" ]] \
		&& $(TOOLS)/cargo-deny --offline check advisories \
		|| echo "SKIPPED  advisories: the RustSec database is not on this machine (cargo deny fetch db)"

deploy-lint: setup-test
	deploy/lint.sh

unit: setup-test
	@[[ -n "$${WARDSTREAM_CORPUS:-}" ]] || echo "SKIPPED  corpus: WARDSTREAM_CORPUS names no folder of test messages"
	$(TOOLS)/cargo-nextest nextest run --locked --workspace

bench: setup-test ## Measure messages a second and latency, on the embedded broker and on Apache Kafka
	cargo bench --locked --package wardstream-load-tests --bench line -- $(ARGS)

bench-stream: setup-test ## Measure the consumer runtime against what Apache Kafka gives to rdkafka alone
	cargo bench --locked --package wardstream-load-tests --bench stream -- $(ARGS)

peers: setup-test ## Measure against what others use: make peers NAME=python-pipeline
	deploy/peers/$(NAME).sh $(ARGS)

drill: setup-test ## Break the line on real parts and judge it: make drill NAME=kill SEED=7 [KILLS=100] [MESSAGES=250000]
	cargo run --release --locked --package wardstream-load-tests --bin wardstream-drill -- $(NAME) \
		--seed $(or $(SEED),1) $(if $(KILLS),--kills $(KILLS)) $(if $(MESSAGES),--messages $(MESSAGES)) $(ARGS)
