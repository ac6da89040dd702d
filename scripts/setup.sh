# Sourced by the other scripts: the Python environment in .venv, made when it is missing or its lock file has changed.
# Says each step that takes time. Needs nothing but a shell; Python itself is installed when it is not there.

cd "$(dirname "$0")/.." || exit 1

say() { printf '%s\n' "-- $*" >&2; }

find_python() {
    for candidate in python3.13 python3.12 python3.11 python3; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

ensure_python() {
    PYTHON=$(find_python) && return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        say "please install Python 3.11 or newer with its venv module, and start again"
        exit 1
    fi
    say "installing python3 and python3-venv (needs root: sudo may ask for your password)"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install python3 python3-venv >&2
    PYTHON=$(find_python) || {
        say "this system's Python is older than 3.11; please install a newer one and start again"
        exit 1
    }
}

# ensure_venv LOCKFILE: .venv with the packages of scripts/LOCKFILE and this checkout.
ensure_venv() {
    lock="scripts/$1"
    stamp=".venv/$1.stamp"
    wanted=$(cat "$lock" pyproject.toml | cksum)
    [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return 0
    ensure_python
    if [ ! -x .venv/bin/python ]; then
        say "making the Python environment in .venv ($("$PYTHON" -V))"
        "$PYTHON" -m venv .venv || exit 1
    fi
    say "installing Python packages ($lock)"
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-input -r "$lock" >&2 || exit 1
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-input --no-deps -e . >&2 || exit 1
    printf '%s\n' "$wanted" >"$stamp"
}
