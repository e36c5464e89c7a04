#!/usr/bin/env bash
# snnTorch 1.0.0: a `Lapicque` that is given `beta` does not decay by it; below 1/e its membrane changes sign.
#
# `beta` is documented as the decay of the membrane in a step. The layer makes a resistance and a capacitance of it
# that fit the exact solution, exp(-T / RC) = beta, and then steps with the first-order rule, whose factor is
# 1 - T / RC = 1 + ln(beta): 0.895 for 0.9, 0.307 for 0.5, and -0.204 for 0.3, with which a membrane that is left
# alone swings from side to side. `Leaky` with the same number decays by it.
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
beta 0.9: of a membrane of 1, one step without input leaves 0.895 in a Lapicque, 0.900 in a Leaky
beta 0.5: of a membrane of 1, one step without input leaves 0.307 in a Lapicque, 0.500 in a Leaky
beta 0.3: of a membrane of 1, one step without input leaves -0.204 in a Lapicque, 0.300 in a Leaky
TEXT

"$scratch/venv/bin/python" -W ignore - > "$scratch/seen" <<'PYTHON'
import snntorch
import torch

for beta in (0.9, 0.5, 0.3):
    layers = (snntorch.Lapicque(beta=beta, threshold=10.0), snntorch.Leaky(beta=beta, threshold=10.0))
    one, other = (layer(torch.zeros(1), torch.ones(1))[1].item() for layer in layers)
    print(
        f"beta {beta}: of a membrane of 1, one step without input leaves {one:.3f} in a Lapicque, "
        f"{other:.3f} in a Leaky"
    )
PYTHON

diff "$scratch/expected" "$scratch/seen"
echo "as described"
