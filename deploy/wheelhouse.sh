#!/usr/bin/env bash
# Makes one archive for a machine without internet: every wheel, pinned, with checksums and an install script.
# usage: wheelhouse.sh [EXTRA] [FOLDER]     EXTRA: all (default), serve, serve-all, client ...; FOLDER: build by default
# IMAGES=1 builds both container images too and puts them in (needs docker).
# The archive is for this machine's kind of system and version of Python; PYTHON chooses another.
set -euo pipefail
cd "$(dirname "$0")/.."
extra=${1:-all}
mkdir -p "${2:-build}"
folder=$(cd "${2:-build}" && pwd)
python=${PYTHON:-python3}
house=$folder/wheelhouse

say() { printf '%s\n' "$*" >&2; }

rm -rf "$house"
mkdir -p "$house/wheels"
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"$python" -m venv "$tools/venv"
pip=("$tools/venv/bin/python" -m pip --quiet --disable-pip-version-check)

say "Gathering the wheels of [$extra]"
# From a copy, so that building leaves nothing in this folder.
mkdir "$tools/source"
tar --create --exclude=./build --exclude='./.*' --exclude=__pycache__ --exclude='*.egg-info' --file=- . \
  | tar --extract --file=- --directory="$tools/source"
"${pip[@]}" wheel --no-deps --wheel-dir "$house/wheels" "$tools/source"
version=$(basename "$house"/wheels/guarantee_workbench-*.whl | cut -d- -f2)
"${pip[@]}" wheel --constraint constraints.txt --find-links "$house/wheels" --wheel-dir "$house/wheels" \
  "guarantee-workbench[$extra]==$version" "setuptools>=77,<82"

cp constraints.txt "$house/"
cp deploy/install-offline.sh "$house/install.sh"
"$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' > "$house/PYTHON_VERSION"
printf '%s\n' "$extra" > "$house/EXTRA"
if [ "${IMAGES:-0}" = 1 ]; then
  command -v docker >/dev/null || { say "IMAGES=1 needs docker, which was not found."; exit 1; }
  mkdir "$house/images"
  for target in scorer workbench; do
    image=guarantee-workbench; [ "$target" = workbench ] || image=guarantee-workbench-scorer
    docker build -q -f deploy/Dockerfile --target "$target" -t "$image:$version" . >/dev/null
    docker save -o "$house/images/$image-$version.tar" "$image:$version"
  done
fi
# shellcheck disable=SC2094 # the file that is written is the one that is left out
(cd "$house" && find . -type f ! -name SHA256SUMS -print0 | sort -z | xargs -0 sha256sum > SHA256SUMS)

archive=$folder/guarantee-workbench-$version-$extra-$("$python" -c \
  'import sys, sysconfig; print("cp%d%d-%s" % (*sys.version_info[:2], sysconfig.get_platform().replace("-", "_")))').tar
tar --create --file="$archive" --directory="$folder" --sort=name --owner=0 --group=0 --numeric-owner wheelhouse
(cd "$folder" && sha256sum "$(basename "$archive")" > "$(basename "$archive").sha256")
say "$(du -h "$archive" | cut -f1) in $archive"
