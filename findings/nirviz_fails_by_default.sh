#!/usr/bin/env bash
# nirviz 0.1.5: a call with a graph alone fails; `orientation` must be given.
#
# `nirviz.visualize(graph)` is the call of its own documentation. It takes the direction of drawing from the style
# file that it ships under the name `draw-direction`, which that file does not have, and ends in a KeyError. Any
# orientation given with the call is taken.
#
# Seen with Python 3.11: the lines under `expected`.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"${PYTHON:-python3.11}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet "nirviz==0.1.5" "nir==1.0.8" "numpy==2.4.6" "graphviz==0.21" "pyyaml==6.0.4"

cat > "$scratch/expected" <<'TEXT'
visualize(graph): KeyError 'draw-direction'
visualize(graph, orientation='horizontal'): drawn
TEXT

"$scratch/venv/bin/python" - > "$scratch/seen" <<'PYTHON'
import nir
import nirviz
import numpy as np

weight, bias = np.ones((2, 3), np.float32), np.zeros(2, np.float32)
graph = nir.NIRGraph.from_list(nir.Affine(weight, bias), nir.I(np.ones(2, np.float32)))
for options in ({}, {"orientation": "horizontal"}):
    said = "".join(f", {name}={value!r}" for name, value in options.items())
    try:
        nirviz.visualize(graph, **options)
        print(f"visualize(graph{said}): drawn")
    except KeyError as error:
        print(f"visualize(graph{said}): KeyError {error}")
PYTHON

diff "$scratch/expected" "$scratch/seen"
echo "as described"
