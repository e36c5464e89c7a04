#!/usr/bin/env bash
# torch 2.13.0: while one thread traces a module with torch.fx, modules that other threads call are traced, too.
#
# The tracer puts a function of its own in the place of `torch.nn.Module.__call__`, for the whole process, until
# it is done. A thread that serves requests meanwhile, with real tensors, gets a symbolic `Proxy` from a layer
# that belongs to the traced network, and a NameError from any other network.
#
# Seen with Python 3.11 on Linux: the lines under `expected`.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"${PYTHON:-python3.11}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet "torch==2.13.0" "numpy==2.4.6"

cat > "$scratch/expected" <<'TEXT'
before: Tensor Tensor
while another thread traces: Proxy NameError: module is not installed as a submodule
after: Tensor Tensor
TEXT

"$scratch/venv/bin/python" - > "$scratch/seen" <<'PYTHON'
import threading

import torch
from torch import fx, nn

tracing, served = threading.Event(), threading.Event()


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x):
        tracing.set()
        served.wait(60)
        return self.layer(x)


network, stranger, x = Network(), nn.Linear(2, 2), torch.ones(1, 2)


def called(module):
    try:
        return type(module(x)).__name__
    except NameError as error:
        return f"{type(error).__name__}: {error}"


print("before:", called(network.layer), called(stranger))
thread = threading.Thread(target=fx.symbolic_trace, args=(network,))
thread.start()
tracing.wait(60)
print("while another thread traces:", called(network.layer), called(stranger))
served.set()
thread.join()
print("after:", called(network.layer), called(stranger))
PYTHON

diff "$scratch/expected" "$scratch/seen"
echo "as described"
