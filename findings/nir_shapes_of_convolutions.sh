#!/usr/bin/env bash
# nir 1.0.8: the shapes that it infers for a convolution are right for square kernels in one group only.
#
# The size of the kernel's first axis is taken for both, and the channels of one group for all of the input. A
# graph whose shapes are right is therefore refused when it is made, written or read, and one whose shapes are
# wrong by just that much is accepted; readers pass `type_check=False`. The sizes beside them are PyTorch's rule,
# floor((size - kernel) / stride) + 1 without padding, worked by hand.
#
# Seen with Python 3.11: the lines under `expected`.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"${PYTHON:-python3.11}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet "nir==1.0.8" "numpy==2.4.6" "h5py==3.16.0"

cat > "$scratch/expected" <<'TEXT'
a kernel of 3 x 5 on 8 x 8: nir says (1, 6, 6); it is (1, 6, 4)
a graph with an output of (1, 6, 4): ValueError
a graph with an output of (1, 6, 6): accepted
two groups, for two channels: nir says (1, 8, 8) come in; it is (2, 8, 8)
TEXT

"$scratch/venv/bin/python" - > "$scratch/seen" <<'PYTHON'
import nir
import numpy as np


def convolution(weight, groups=1):
    bias = np.zeros(weight.shape[0], np.float32)
    return nir.Conv2d((8, 8), weight, stride=1, padding=0, dilation=1, groups=groups, bias=bias)


def shape(of):
    return tuple(int(size) for size in next(iter(of.values())))


def made(output):
    nodes = {"input": nir.Input(np.array([1, 8, 8])), "conv": oblong, "output": nir.Output(np.array(output))}
    try:
        nir.NIRGraph(nodes, [("input", "conv"), ("conv", "output")])
    except ValueError as error:
        return type(error).__name__
    return "accepted"


oblong = convolution(np.ones((1, 1, 3, 5), np.float32))
print(f"a kernel of 3 x 5 on 8 x 8: nir says {shape(oblong.output_type)}; it is (1, 6, 4)")
for output in ((1, 6, 4), (1, 6, 6)):
    print(f"a graph with an output of {output}: {made(output)}")
grouped = convolution(np.ones((2, 1, 3, 3), np.float32), groups=2)
print(f"two groups, for two channels: nir says {shape(grouped.input_type)} come in; it is (2, 8, 8)")
PYTHON

diff "$scratch/expected" "$scratch/seen"
echo "as described"
