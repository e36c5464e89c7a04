#!/usr/bin/env bash
# Triton 3.9.0: its interpreter adds the bit patterns of bfloat16 numbers, and says nothing.
#
# With TRITON_INTERPRET=1 a kernel runs in NumPy, which has no bfloat16: there are 16-bit integers in its place, and
# arithmetic on them is that of integers. 1 + 1 is then 1.7e38. Stored back from float32, numbers are cut off and not
# rounded: 1.00390625 + 2^-9 becomes 1, where the nearest bfloat16 is 1.0078125. A kernel that was proven in the
# interpreter alone is unproven for bfloat16; one that computes in float32 and stores spikes of 0 and 1 is fine.
#
# Seen with Python 3.11 and NumPy 2.4.6: the lines under `expected`.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"${PYTHON:-python3.11}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet "triton==3.9.0" "torch==2.13.0" "numpy==2.4.6"

cat > "$scratch/expected" <<'TEXT'
1 + 1 in bfloat16: 1.7e+38; it is 2.0
1.005859375 stored as bfloat16: 1.0; the nearest is 1.0078125
TEXT

cat > "$scratch/kernels.py" <<'PYTHON'
import torch
import triton
import triton.language as tl


@triton.jit
def add(x, y, out, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(out + i, tl.load(x + i) + tl.load(y + i))


@triton.jit
def narrow(x, out, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    tl.store(out + i, tl.load(x + i).to(tl.bfloat16))


ones, out = torch.ones(16, dtype=torch.bfloat16), torch.zeros(16, dtype=torch.bfloat16)
add[1,](ones, ones, out, BLOCK=16)
print(f"1 + 1 in bfloat16: {out[0].item():.1e}; it is {(ones + ones)[0].item()}")
between = torch.full((16,), 1.005859375)
narrow[1,](between, out, BLOCK=16)
print(f"1.005859375 stored as bfloat16: {out[0].item()}; the nearest is {between.bfloat16()[0].item()}")
PYTHON
TRITON_INTERPRET=1 "$scratch/venv/bin/python" "$scratch/kernels.py" > "$scratch/seen"

diff "$scratch/expected" "$scratch/seen"
echo "as described"
