#!/usr/bin/env bash
# safetensors 0.8.0: `load` of the NumPy (and torch) side gives the arrays of one file in another order in every
# process, `load_file` in one order.
#
# Both return a dict, and the bytes are the same. So what walks over a loaded dict, such as somebody who zips two
# of them, draws numbers for each array, or prints a digest, does something else in each run of a program that reads
# its file by itself, and the same in each run of one that gives its name.
#
# Seen with Python 3.11: the lines under `expected`.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"${PYTHON:-python3.11}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet "safetensors==0.8.0" "numpy==2.4.6"

cat > "$scratch/expected" <<'TEXT'
load: more than one order in 12 processes
load_file: one order in 12 processes, that of the names
TEXT

"$scratch/venv/bin/python" - "$scratch" > "$scratch/seen" <<'PYTHON'
import subprocess
import sys

import numpy as np
from safetensors.numpy import save_file

scratch = sys.argv[1]
names = list("hgfedcba")
save_file({name: np.zeros(1, np.float32) for name in names}, f"{scratch}/eight.safetensors")


ORDER = {
    "load": "print(*load(open(sys.argv[1], 'rb').read()))",
    "load_file": "print(*load_file(sys.argv[1]))",
}


def orders(how):
    script = f"import sys; from safetensors.numpy import {how}; {ORDER[how]}"
    command = [sys.executable, "-c", script, f"{scratch}/eight.safetensors"]
    return {subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() for _ in range(12)}


print("load:", "more than one order" if len(orders("load")) > 1 else "one order", "in 12 processes")
one = orders("load_file") == {" ".join(sorted(names))}
print("load_file:", "one order in 12 processes, that of the names" if one else "another order")
PYTHON

diff "$scratch/expected" "$scratch/seen"
echo "as described"
