#!/usr/bin/env bash
# What a newcomer does first, with whatever versions the Python that is named has: tools/smoke.sh PYTHON
set -euo pipefail
ser() { echo "\$ ser $*"; "$PYTHON" -m ser "$@"; }
PYTHON="$1" SER_ROOT="$(mktemp -d)"
export SER_ROOT
repository="$(cd "$(dirname "$0")/.." && pwd)"
ser --help
ser data download demo
clip="$(find "$SER_ROOT/data/raw/demo" -name '*.opus' -print -quit)"
ser predict "$clip" --model "$repository/models/small" --plot "$SER_ROOT/answer.png"
ser predict "$clip" --model "$repository/models/whisper-tiny"
ser metadata --corpora demo
ser train mfcc-attention --corpora demo --epochs 2
ser evaluate
ser predict "$clip" --model newest
ser export "$SER_ROOT"/models/runs/*/*/fold-0-seed-0 --to "$SER_ROOT/bundle" --formats onnx
ser predict "$clip" --model "$SER_ROOT/bundle"
rm -r "$SER_ROOT"
