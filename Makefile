# The project's commands. CI calls the same targets; `make help` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Where guests get their compiler from: auto, rustup or debian (see plugins/toolchain/guest-env.sh).
GUEST_TOOLCHAIN ?= auto
export GUEST_TOOLCHAIN

# What runs on this machine out of plugins/ (binding generator, lints, unit tests) builds here, apart from guests and host.
PLUGINS_ON_HOST := CARGO_TARGET_DIR=$(CURDIR)/target/plugins-host
# What makes random WebAssembly for the fuzzer.
SMITH := CARGO_TARGET_DIR=$(CURDIR)/target/smith

.PHONY: help
help: ## Lists the targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z][a-z-]*:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Start here (each does all set-up that it needs)

# The slow step of the demo logs 25 times faster than its author wrote it, unless FULL=1.
DEMO_FLAGS := $(if $(FULL),,--set slow.log_delay_ms=20)

# With the build that the tests use: its dependencies are optimised, and it is there minutes sooner than a release build.
.PHONY: demo
demo: plugins build ## Runs the test job generator, its slow step shortened; FULL=1 as it is written
	target/debug/bulkhead run job-definitions/test_job_generator.toml --plugins target/plugins $(DEMO_FLAGS)

.PHONY: jobs
jobs: plugins build ## Runs the job suite: each job ends in its expected state, the errors among them with theirs
	target/debug/bulkhead-jobs

.PHONY: test
test: lint plugins plugins-test languages languages-test host-test console-test doc ## Formats, lints, every test, documentation: all that CI checks

.PHONY: serve
serve: plugins release ## Serves the API on 127.0.0.1:7070, with all plugins and job definitions
	target/release/bulkhead serve --plugins target/plugins --definitions job-definitions

##@ Host

.PHONY: tools
tools:
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust 1.95 or newer, for instance with rustup" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "cc is missing: install a C compiler, for instance the package build-essential" >&2; exit 1; }

.PHONY: build
build: tools ## Builds the host with optimised dependencies into target/debug
	cargo build --locked --workspace

.PHONY: release
release: tools ## Builds the host as it is meant to run: target/release/bulkhead
	cargo build --locked --release -p bulkhead

.PHONY: test-tools
test-tools: ## Brings a real registry and minisign for the tests, into target/test-tools
	tests/e2e/tools.sh

.PHONY: host-test
host-test: build plugins languages smith test-tools ## Runs the host's tests, those of the real binary with real plugins among them
	if cargo nextest --version >/dev/null 2>&1; then \
	  cargo nextest run --locked --workspace --no-fail-fast; \
	else \
	  cargo test --locked --workspace --all-targets --no-fail-fast; \
	fi
	cargo test --locked --workspace --doc

.PHONY: lint
lint: host-lint plugins-lint languages-lint ## Checks formats and lints, warnings denied

.PHONY: host-lint
host-lint: tools
	cargo fmt --all --check
	cd tests/fuzz/smith && cargo fmt --check && $(SMITH) cargo clippy --locked --release -- -D warnings
	cargo clippy --locked --workspace --all-targets -- -D warnings

.PHONY: doc
# With private items, so that links to them hold: this documentation is for who works on the host.
doc: tools ## Builds the host's documentation, warnings denied
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --locked --workspace --no-deps --document-private-items

.PHONY: bench
bench: plugins tools ## Measures throughput and latency, each figure beside the raw cost of its parts
	cargo build --locked --release -p bulkhead -p bulkhead-bench
	target/release/bulkhead-bench

# With the build that the tests use, whose compiler is optimised; BULKHEAD_BIN=target/release/bulkhead measures another.
.PHONY: bench-plugins
bench-plugins: plugins languages build ## Measures a plugin of each language, for the table in README.md
	tests/bench/plugins.sh

# SEED repeats a campaign, with SEEDS=1 one case.
.PHONY: fuzz
fuzz: build plugins languages smith ## Uploads and runs random and mutated plugins for SECONDS (60)
	target/debug/bulkhead-fuzz $(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(SECONDS),--seconds $(SECONDS))

# A workspace of its own, see its Cargo.toml.
.PHONY: smith
smith: tools
	cd tests/fuzz/smith && $(SMITH) cargo build --locked --release

# With the build that the tests use, as the demo; BULKHEAD_BIN=target/release/bulkhead crawls with another.
.PHONY: crawl
crawl: plugins build ## Crawls the documentation of the Rust toolchain and compares with a walk of its files; prints pages a second
	target/debug/bulkhead-crawl

.PHONY: deny
deny: ## Checks licences and advisories of the dependencies (needs cargo-deny)
	cargo deny check

##@ Console

.PHONY: console-test
console-test: build plugins ## Checks the console's types, lints and libraries, and tests it in a real Chromium
	tests/console/run.sh

.PHONY: console-check
console-check: ## The same without the browser
	tests/console/run.sh check

.PHONY: console-vendor
console-vendor: ## Brings the console's libraries anew from the packages of tests/console/package-lock.json
	cd tests/console && npm install --no-save --ignore-scripts --loglevel=error && node vendor.mjs

##@ Plugins (GUEST_TOOLCHAIN = auto, rustup or debian)

.PHONY: plugins
plugins: ## Builds every plugin into target/plugins/NAME.wasm
	plugins/toolchain/build.sh

# LANGUAGES="go c" builds some; all by default. What has no compiler here is left out, visibly, unless CI=true.
.PHONY: languages
languages: ## Builds the example plugins in other languages into target/plugins/languages, and brings the programs for tests
	plugins/toolchain/languages.sh $(LANGUAGES)

# LANGUAGES="go shell" checks some; all by default. What has no tools here is left out, visibly, unless CI=true.
.PHONY: languages-lint
languages-lint: ## Checks formats, lints and types of what is written in other languages, templates and scripts among it
	plugins/toolchain/languages-check.sh lint $(LANGUAGES)

.PHONY: languages-test
languages-test: ## Tests the SDKs in other languages and the examples' pure parts on this machine
	plugins/toolchain/languages-check.sh test $(LANGUAGES)

.PHONY: plugins-test
plugins-test: ## Tests the plugins' pure parts and the SDK on this machine
	cd plugins && $(PLUGINS_ON_HOST) cargo test --locked --quiet

# With the machine's own toolchain and target: Debian's guest compiler has neither clippy nor rustfmt.
.PHONY: plugins-lint
plugins-lint: ## Checks the plugins' format, lints and documents them, and checks that the bindings are fresh
	cd plugins && cargo fmt --all --check
	cd plugins && $(PLUGINS_ON_HOST) cargo clippy --locked --workspace --all-targets -- -D warnings
	cd plugins && RUSTDOCFLAGS="-D warnings" $(PLUGINS_ON_HOST) cargo doc --quiet --locked --no-deps -p bulkhead-plugin
	plugins/toolchain/gen-bindings.sh --check

.PHONY: bindings
bindings: ## Generates the SDK's bindings anew after a change of wit/
	plugins/toolchain/gen-bindings.sh
