#!/usr/bin/env bash
# torch 2.13.0: under torch.compile, a property that is read through `super()` is true, whatever it returns.
#
# Where a class overrides a property and asks the one that it overrides, Dynamo does not call the getter: what it
# has in its place counts as true in a condition. So the compiled module takes the other branch, computes something
# else than the module itself, and nothing says so: with `fullgraph=True` there is no graph break either. One would
# expect the value of the property, as without `torch.compile`, or a break.
#
# Seen with Python 3.11 on Linux: the lines under `expected`.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"${PYTHON:-python3.11}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet "torch==2.13.0" "numpy==2.4.6"

cat > "$scratch/expected" <<'TEXT'
as it is: 1.0
compiled: -1.0
TEXT

cat > "$scratch/layer.py" <<'PYTHON'
import torch


class Layer(torch.nn.Module):
    @property
    def inverts(self):
        return False


class Other(Layer):
    @property
    def inverts(self):
        return super().inverts

    def forward(self, x):
        return -x if self.inverts else x


layer, x = Other(), torch.ones(1)
print("as it is:", layer(x).item())
print("compiled:", torch.compile(layer, backend="eager", fullgraph=True)(x).item())
PYTHON

"$scratch/venv/bin/python" -W ignore "$scratch/layer.py" > "$scratch/seen"

diff "$scratch/expected" "$scratch/seen"
echo "as described"
