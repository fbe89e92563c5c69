#!/bin/sh
# Makes this clone ready to use: system packages, the service user, uv, and the Python packages of uv.lock.
# Its arguments are further system packages. Idempotent: what is there already is left alone. What may not be installed is named, with the command for it.
set -eu
cd "$(dirname "$0")/../.."

UV_VERSION=0.13.9
PACKAGES="ca-certificates chromium chromium-sandbox xserver-xorg-core xserver-xorg-video-dummy xvfb pulseaudio libpulse0 libxcb1
    libatomic1 nftables fonts-noto-cjk fonts-noto-color-emoji fonts-liberation fonts-dejavu-core $*"
SERVICE_USER=panoreel
STAMP=.venv/.panoreel-setup

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# as_root COMMAND…: runs it, if we are root or may become root without a password.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo -n "$@"
    fi
}

may_be_root() {
    [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null
}

# missing_packages NAME…: those that dpkg does not have installed.
missing_packages() {
    for package; do
        case "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null)" in
        ii*) ;;
        *) printf '%s ' "$package" ;;
        esac
    done
}

# install_packages NAME…: installs what is missing, or says what that is and stops.
install_packages() {
    if ! command -v dpkg-query >/dev/null; then
        echo "not a Debian system: install the equivalents of these yourself:" "$@" >&2
        return
    fi
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    if ! may_be_root; then
        fail "these packages are missing, and only root may install them:" "  $missing" \
            "run:  sudo apt-get update && sudo apt-get install -y --no-install-recommends $missing"
    fi
    echo "installing: $missing"
    as_root apt-get update -q
    # shellcheck disable=SC2086 # one word for each package
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
}

# Root runs the browser as a user of its own; anybody else runs it as themselves.
create_service_user() {
    if [ "$(id -u)" = 0 ] && ! id "$SERVICE_USER" >/dev/null 2>&1; then
        echo "creating the system user $SERVICE_USER"
        useradd --system --user-group --no-create-home --shell /usr/sbin/nologin "$SERVICE_USER"
    fi
}

# find_python: prints an interpreter that is new enough; uv may know of more than PATH does.
find_python() {
    for name in python3.11 python3 python3.12 python3.13; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    uv python find --no-python-downloads '>=3.11' 2>/dev/null
}

has_uv() {
    command -v uv || .tools/bin/uv --version
} >/dev/null 2>&1

# python_packages: prints what is missing for Python and, unless uv is there, for an environment to put it in.
python_packages() {
    if ! python=$(find_python); then
        echo python3 python3-venv
    elif ! has_uv && ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        echo python3-venv
    fi
}

# find_uv: prints the path of uv, the one on PATH or one of our own in .tools.
find_uv() {
    if ! has_uv; then
        rm -rf .tools
        "$PYTHON" -m venv .tools >&2
        .tools/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION" >&2
    fi
    command -v uv || echo .tools/bin/uv
}

# is_set_up: whether the Python packages are those that this clone asks for.
is_set_up() {
    [ "$(cat $STAMP 2>/dev/null)" = "$fingerprint $PWD" ] && .venv/bin/python -c '' 2>/dev/null
}

fingerprint=$(cat uv.lock pyproject.toml contracts/pyproject.toml client/pyproject.toml services/*/pyproject.toml \
    deploy/local/pyproject.toml tests/bench/pyproject.toml "$0" | sha256sum)

# All at once, so that whoever may not install them is told of all at once.
is_set_up || PACKAGES="$PACKAGES $(python_packages)"
# shellcheck disable=SC2086 # one word for each package
install_packages $PACKAGES
create_service_user
if is_set_up; then
    exit 0
fi
PYTHON=$(find_python) ||
    fail "Python 3.11 or later is missing; on Debian 12 run:  sudo apt-get install python3"
uv=$(find_uv)
# Compiled now, so that the first start is as quick as the second. Certificates are the system's, as for apt.
env -u VIRTUAL_ENV UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=1 \
    "$uv" sync --frozen --compile-bytecode --python "$PYTHON"
echo "$fingerprint $PWD" >$STAMP
