#!/usr/bin/env bash
# nirtorch 2.6: a graph's `Affine` becomes a layer with random numbers in the place of its bias.
#
# `nir_to_torch` makes a `torch.nn.Linear` of the node and copies the weight alone, so that the layer keeps the
# bias that torch drew when it was made: of the same graph every call gives another network, and none is the one
# in the graph. Maps that libraries bring along for their neurons leave `Affine` to this default.
#
# Seen with Python 3.11, torch 2.13.0: the lines under `expected`.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"${PYTHON:-python3.11}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet "nirtorch==2.6" "nir==1.0.8" "torch==2.13.0" "numpy==2.4.6"

cat > "$scratch/expected" <<'TEXT'
the weight is the graph's: True
the bias of the graph is [5.0, 7.0]; the layer's is that: False
the network made a second time gives the same for the same input: False
TEXT

"$scratch/venv/bin/python" -W ignore - > "$scratch/seen" <<'PYTHON'
import nir
import nirtorch
import numpy as np
import torch

weight, bias = np.eye(2, dtype=np.float32), np.array([5, 7], np.float32)
graph = nir.NIRGraph(
    nodes={
        "input": nir.Input(np.array([2])),
        "affine": nir.Affine(weight, bias),
        "output": nir.Output(np.array([2])),
    },
    edges=[("input", "affine"), ("affine", "output")],
)
torch.manual_seed(0)
once, again = (nirtorch.nir_to_torch(graph, node_map={}) for _ in range(2))
(layer,) = (each for each in once.modules() if isinstance(each, torch.nn.Linear))
print("the weight is the graph's:", np.array_equal(layer.weight.detach().numpy(), weight))
given = np.array_equal(layer.bias.detach().numpy(), bias)
print(f"the bias of the graph is {bias.tolist()}; the layer's is that: {given}")
x = torch.zeros(1, 2)
same = torch.equal(once(x)[0], again(x)[0])
print("the network made a second time gives the same for the same input:", same)
PYTHON

diff "$scratch/expected" "$scratch/seen"
echo "as described"
