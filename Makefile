# The project's commands. CI calls the same targets; `make help` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Where guests get their compiler from: auto, rustup or debian (see plugins/toolchain/guest-env.sh).
GUEST_TOOLCHAIN ?= auto
export GUEST_TOOLCHAIN

# What runs on this machine out of plugins/ (binding generator, lints, unit tests) builds here, apart from guests and host.
PLUGINS_ON_HOST := CARGO_TARGET_DIR=$(CURDIR)/target/plugins-host

.PHONY: help
help: ## Lists the targets
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z][a-z-]*:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Plugins (GUEST_TOOLCHAIN = auto, rustup or debian)

.PHONY: plugins
plugins: ## Builds every plugin into target/plugins/NAME.wasm
	plugins/toolchain/build.sh

.PHONY: plugins-test
plugins-test: ## Tests the plugins' pure parts and the SDK on this machine
	cd plugins && $(PLUGINS_ON_HOST) cargo test --locked --quiet

# With the machine's own toolchain and target: Debian's guest compiler has neither clippy nor rustfmt.
.PHONY: plugins-lint
plugins-lint: ## Checks the plugins' format, lints them, and checks that the bindings are fresh
	cd plugins && cargo fmt --all --check
	cd plugins && $(PLUGINS_ON_HOST) cargo clippy --locked --workspace --all-targets -- -D warnings
	plugins/toolchain/gen-bindings.sh --check

.PHONY: bindings
bindings: ## Generates the SDK's bindings anew after a change of wit/
	plugins/toolchain/gen-bindings.sh
