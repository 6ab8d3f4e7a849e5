#!/usr/bin/env bash
# Checks the console: types, lints, vendored libraries, and in a real browser. `run.sh check` leaves the browser out;
# `run.sh suite/log.test.mjs` has this file only in the browser.
#
# What is missing is installed where CI=true on Debian. Elsewhere it is said, and what needs it is skipped, visibly.
set -euo pipefail
cd "$(dirname "$0")"

skip() {
  if [ "${CI:-}" = true ]; then
    echo "console: $1" >&2
    exit 1
  fi
  echo "console: SKIPPED: $1"
  exit 0
}

install() {
  [ "${CI:-}" = true ] && command -v apt-get >/dev/null || return 0
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

browser() {
  [ -n "${CHROMIUM:-}" ] || [ -x /usr/bin/chromium ] || [ -x /usr/bin/chromium-browser ] || [ -x /usr/bin/google-chrome ]
}

command -v npm >/dev/null || install nodejs npm
command -v npm >/dev/null || skip "node and npm are missing: install the packages nodejs (18.19 or newer) and npm"

if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  # Not `npm ci`: it refuses a lock without the optional packages of systems that the registry at hand does not have.
  npm install --no-save --ignore-scripts --loglevel=error
  touch node_modules/.package-lock.json
fi
node vendor.mjs --check
npm run --silent types
npm run --silent lint
[ "${1:-}" = check ] && exit 0

browser || install chromium
browser || skip "there is no Chromium: install the package chromium, or name one in CHROMIUM"
if [ $# -gt 0 ]; then
  node --test --test-concurrency=1 --test-reporter=spec "$@"
else
  npm run --silent browser
fi
