#!/usr/bin/env bash
# snnTorch 1.0.0: an SLSTM has no memory unless its input is as wide as its state.
#
# Before each step the layer compares the shape of its states with that of the input, not of its hidden size,
# and sets them to zero where they differ; states that are handed in go the same way. So of three steps on the
# same input the second and third repeat the first, in every bit, and nothing says so. With `hidden_size` equal
# to `input_size` it remembers.
#
# Seen with Python 3.11, torch 2.13.0: the lines under `expected`.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"${PYTHON:-python3.11}" -m venv "$scratch/venv"
# snnTorch imports nirtorch and pandas, and does not declare them.
"$scratch/venv/bin/pip" install --quiet "snntorch==1.0.0" "torch==2.13.0" "numpy==2.4.6" \
    "nir==1.0.8" "nirtorch==2.6" "pandas==3.1.1"

cat > "$scratch/expected" <<'TEXT'
4 inputs, 4 states: the membrane of step 2 differs from that of step 1, step 3 differs
4 inputs, 5 states: the membrane of step 2 equals that of step 1, step 3 equals
TEXT

"$scratch/venv/bin/python" -W ignore - > "$scratch/seen" <<'PYTHON'
import snntorch
import torch

for hidden in (4, 5):
    torch.manual_seed(0)
    layer = snntorch.SLSTM(4, hidden)
    syn, mem = torch.zeros(1, hidden), torch.zeros(1, hidden)
    membranes = []
    for _ in range(3):
        spk, syn, mem = layer(torch.ones(1, 4), syn, mem)
        membranes.append(mem)
    second, third = ("equals" if torch.equal(membranes[0], each) else "differs" for each in membranes[1:])
    second += " that" if second == "equals" else " from that"
    print(f"4 inputs, {hidden} states: the membrane of step 2 {second} of step 1, step 3 {third}")
PYTHON

diff "$scratch/expected" "$scratch/seen"
echo "as described"
