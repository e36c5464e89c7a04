#!/usr/bin/env bash
# torch 2.13.0: a step of a fused optimizer changes a parameter, and not its version.
#
# Every change in place raises a tensor's `_version`: autograd refuses a backward pass whose saved tensors were
# changed since, and caches are keyed on it. The loops behind `foreach=False` and `foreach=True` raise it at each
# step. `fused=True`, on a CPU, does not. So w = 2 is saved for the gradient of y = w * x, a step makes it 1, and
# the gradient of x comes out as 1, where the other optimizers end in an error. Keyed on `_version`, anything
# made of a weight (a transposed copy, a packed one) stays what it was before the first step.
#
# Seen with Python 3.11 on Linux, x86-64: the lines under `expected`.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"${PYTHON:-python3.11}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet "torch==2.13.0" "numpy==2.4.6"

cat > "$scratch/expected" <<'TEXT'
one by one: the version rises by 1, backward: RuntimeError
foreach: the version rises by 1, backward: RuntimeError
fused: the version rises by 0, backward: the gradient of x is 1.0, of a weight that was 2.0
TEXT

"$scratch/venv/bin/python" - > "$scratch/seen" <<'PYTHON'
import torch


def after_a_step(**how):
    w = torch.nn.Parameter(torch.tensor(2.0))
    x = torch.tensor(3.0, requires_grad=True)
    y = w * x
    before, w.grad = w._version, torch.tensor(1.0)
    torch.optim.SGD([w], lr=1.0, **how).step()
    assert w.item() == 1.0
    raised = f"the version rises by {w._version - before}"
    try:
        y.backward()
    except RuntimeError as error:
        return f"{raised}, backward: {type(error).__name__}"
    return f"{raised}, backward: the gradient of x is {x.grad.item()}, of a weight that was 2.0"


print("one by one:", after_a_step(foreach=False))
print("foreach:", after_a_step(foreach=True))
print("fused:", after_a_step(fused=True))
PYTHON

diff "$scratch/expected" "$scratch/seen"
echo "as described"
