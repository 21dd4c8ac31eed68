# Sourced by the scripts beside it, from the root of the checkout: `environment`
# makes `.venv` with this checkout in it. The package is never taken from PyPI, where
# its name belongs to the original FastKafka.

set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
venv=$root/.venv
python=$venv/bin/python

# Print the newest Python that can make the environment. Each candidate is run, because
# a pyenv shim may exist for a version that is not installed.
find_python() {
    for candidate in python3.13 python3.12 python3.11 python3 python; do
        if "$candidate" -c 'import ensurepip, sys, venv
sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    echo "$0: no Python 3.11 or newer with its \`venv\` module was found." \
        "Install one, for example \`apt install python3 python3-venv\` or" \
        "\`brew install python\`." >&2
    return 1
}

# environment EXTRAS [pip argument...]: make `.venv` and install the checkout with its
# EXTRAS, or do nothing when that was done for this pyproject.toml already.
environment() {
    extras=$1
    shift
    stamp=$venv/installed-$extras
    wanted=$(cat pyproject.toml constraints-dev.txt | cksum)
    # A virtual environment cannot be moved: its scripts name the folder it was made in.
    if [ "$(cat "$venv/made-in" 2>/dev/null)" != "$root" ] ||
        ! "$python" -c '' 2>/dev/null; then
        base=$(find_python)
        echo "Making .venv with $("$base" --version) ..."
        "$base" -m venv --clear "$venv"
        echo "$root" >"$venv/made-in"
    fi
    if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        echo "Installing this checkout with [$extras] into .venv ..."
        "$python" -m pip install --disable-pip-version-check -q "$@" -e ".[$extras]"
        # Else each process that starts first compiles all of it.
        "$python" -m compileall -q src
        echo "$wanted" >"$stamp"
    fi
}
