#!/bin/sh
# Installs the workbench from this folder into a virtual environment, without internet.
# usage: sh install.sh FOLDER_OF_THE_ENVIRONMENT [EXTRA]
set -eu
target=${1:?usage: sh install.sh FOLDER_OF_THE_ENVIRONMENT [EXTRA]}
case $target in /*) ;; *) target=$PWD/$target ;; esac
cd "$(dirname "$0")"
extra=${2:-$(cat EXTRA)}
python=${PYTHON:-python3}
wanted=$(cat PYTHON_VERSION)

say() { printf '%s\n' "$*" >&2; }

found=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
[ "$found" = "$wanted" ] || { say "These wheels are for Python $wanted; $python is $found. Set PYTHON=/path/to/python$wanted."; exit 1; }
sha256sum --check --quiet --strict SHA256SUMS || { say "A file is not what was packed; nothing was installed."; exit 1; }
"$python" -m venv "$target"
"$target/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --find-links wheels \
  --constraint constraints.txt "guarantee-workbench[$extra]"
[ ! -d images ] || say "The container images are loaded with: docker load -i images/NAME.tar"
say "Installed: $target/bin/workbench"
