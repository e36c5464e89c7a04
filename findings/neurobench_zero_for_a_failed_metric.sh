#!/usr/bin/env bash
# NeuroBench 2.3.0: a metric that cannot be computed is reported as 0.0, the best value that it can have.
#
# `NeuronOperations` knows how many operations a step of `Leaky`, `Synaptic`, `Lapicque` and `Alpha` takes. Asked
# about a network that has an `RLeaky`, which NeuroBench counts among its neurons and gives every other metric of,
# it raises; the benchmark catches that, and has 0.0 in the results, where a result is a mapping of two numbers.
# The reason goes to standard output, and with `quiet=True` nowhere. One would expect an error, or at least no
# number: results are compared, and fewer operations are better.
#
# Seen with Python 3.11, torch 2.13.0, snnTorch 1.0.0: the lines under `expected`.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"${PYTHON:-python3.11}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet "neurobench==2.3.0" "snntorch==1.0.0" "torch==2.13.0" "numpy==2.4.6" \
    "nir==1.0.8" "nirtorch==2.6" "pandas==3.1.1"

cat > "$scratch/expected" <<'TEXT'
Leaky: {'Effective Neuron Ops': 252.0, 'Neuron Dense Ops': 252.0}
RLeaky: 0.0
TEXT

"$scratch/venv/bin/python" -W ignore - 2> /dev/null > "$scratch/seen" <<'PYTHON'
import snntorch
import torch
from neurobench.benchmarks import Benchmark
from neurobench.metrics.workload import NeuronOperations
from neurobench.models import SNNTorchModel
from neurobench.processors.postprocessors import ChooseMaxCount
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

for kind, options in (("Leaky", {}), ("RLeaky", {"linear_features": 6})):
    torch.manual_seed(0)
    neuron = getattr(snntorch, kind)(beta=0.9, init_hidden=True, **options)
    last = snntorch.Leaky(beta=0.8, init_hidden=True, output=True)
    net = nn.Sequential(nn.Linear(8, 6), neuron, nn.Linear(6, 3), last)
    data = DataLoader(TensorDataset(torch.randn(10, 7, 8), torch.randint(0, 3, (10,))), batch_size=5)
    task = Benchmark(SNNTorchModel(net), data, [], [ChooseMaxCount()], [[], [NeuronOperations]])
    print(f"{kind}: {task.run(quiet=True)['NeuronOperations']}")
PYTHON

diff "$scratch/expected" "$scratch/seen"
echo "as described"
