#!/usr/bin/env bash
# Makes the environment of this checkout: .venv with the pinned libraries, with uv where it is present and plain pip otherwise.
# usage: environment.sh all|dev        the libraries of that extra
#        environment.sh system-parts   what the tests need from the system: a browser, PostgreSQL, fonts
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

say() { printf '%s\n' "$*" >&2; }

check_python() {
  command -v "$python" >/dev/null || { say "Python 3.11, 3.12 or 3.13 is needed, and '$python' was not found. Set PYTHON=/path/to/python."; exit 1; }
  "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
    || { say "Python 3.11, 3.12 or 3.13 is needed; $python is $("$python" -V 2>&1). Set PYTHON=/path/to/python."; exit 1; }
  "$python" -c 'import venv, ensurepip' 2>/dev/null \
    || command -v uv >/dev/null || { say "$python lacks venv: install it (Debian: apt-get install python3-venv)."; exit 1; }
}

may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

install_packages() {
  say "Installing system packages: $*"
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >/dev/null 2>&1 \
    || { apt-get update -q >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >/dev/null; }
}

# need NAME PACKAGE COMMAND...: run the check COMMAND; where it fails install PACKAGE, or say what is missing.
missing=()
need() {
  local name=$1 package=$2; shift 2
  "$@" >/dev/null 2>&1 && return 0
  if may_install; then install_packages "$package" && "$@" >/dev/null 2>&1 && return 0; fi
  missing+=("$name (Debian package: $package)")
}

has_library() { "$python" -c "import ctypes, sys; ctypes.CDLL(sys.argv[1])" "$1"; }
has_browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
has_postgresql() { command -v pg_ctl || compgen -G '/usr/lib/postgresql/*/bin/pg_ctl'; }
has_mariadb() { command -v mariadbd || [ -x /usr/sbin/mariadbd ]; }
has_chinese_font() { fc-list :lang=zh-cn | grep -q .; }

report_missing() {
  [ ${#missing[@]} -eq 0 ] && return 0
  say "Missing on this machine, and not installable from here:"
  printf '  - %s\n' "${missing[@]}" >&2
  return 1
}

install_libraries() {
  if command -v uv >/dev/null; then
    [ -x .venv/bin/python ] || uv venv -q --python "$python" .venv
    uv pip install -q --python .venv/bin/python -c constraints.txt -e ".[$1]"
  else
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[$1]"
  fi
}

case "${1:-}" in
  all | dev)
    check_python
    need "the OpenMP library libgomp, which LightGBM leans on" libgomp1 has_library libgomp.so.1
    report_missing
    say "Making the environment in .venv (the first time takes some minutes)"
    install_libraries "$1"
    ;;
  system-parts)
    need "a Chromium browser for the browser tests" chromium has_browser
    need "a PostgreSQL server for the database tests" postgresql has_postgresql
    need "a MariaDB server for the database tests" mariadb-server has_mariadb
    need "systemd-analyze, which checks the service files" systemd command -v systemd-analyze
    need "shellcheck, which checks the scripts" shellcheck command -v shellcheck
    need "kubectl, which builds the Kubernetes files" kubernetes-client command -v kubectl
    need "curl, with which an example calls the scoring service" curl command -v curl
    need "a Java compiler, for the example in Java" default-jdk-headless command -v javac
    need "fontconfig" fontconfig command -v fc-list
    need "a Chinese font for the screenshots" fonts-noto-cjk has_chinese_font
    report_missing || [ -z "${CI:-}" ]
    ;;
  *) say "usage: $0 all|dev|system-parts"; exit 2 ;;
esac
