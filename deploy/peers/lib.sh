# What the scripts beside it share. They read it with the name of the peers as its argument.
# shellcheck shell=bash disable=SC2034
peer="$1"
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../.." && pwd)"
folder="$root/.cache/peers/$peer"

fail() {
    printf '%s: %s\n' "$peer" "$1" >&2
    exit 1
}

# need PROGRAM WHAT-FOR HOW-TO-GET-IT
need() {
    command -v "$1" >/dev/null 2>&1 || fail "$1 is needed$2 ($3)"
}

need_python() {
    need python3 '' 'Debian: apt-get install python3 python3-venv'
}

need_taskset() {
    need taskset ' to give each contender one core' 'Debian: apt-get install util-linux'
}

# pip_into FOLDER ARGUMENTS: installs into a virtual environment.
pip_into() {
    local python="$1/bin/python"
    shift
    "$python" -m pip install --quiet --disable-pip-version-check "$@" >&2
}

# python_with FOLDER REQUIREMENTS [OPTIONS]: a virtual environment with what a file lists, made anew when the file changed.
python_with() {
    local environment="$1" requirements="$2"
    shift 2
    if ! cmp -s "$requirements" "$environment/.requirements"; then
        rm -rf "$environment"
        mkdir -p "$environment"
        python3 -m venv "$environment"
        pip_into "$environment" "$@" --requirement "$requirements"
        cp "$requirements" "$environment/.requirements"
    fi
}

# The first core that this process may run on.
one_core() {
    taskset -cp $$ | sed 's/.*: *//; s/[-,].*//'
}
