#!/usr/bin/env bash
# xylosim 0.1.3: of more than 15 spikes of an input in a step, the ones above 15 are dropped without a word.
#
# `XyloLayer.evolve` refuses 256 spikes of a channel with a TypeError, and takes up to 255; 16, 40 and 255 lead to the
# state that 15 lead to. One would expect an error from where spikes are lost, or a warning: an encoder of rates that
# is a little too fast loses them, and results look sound.
#
# Seen with Python 3.11, NumPy 2.4.6: the lines under `expected`.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"${PYTHON:-python3.11}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet "xylosim==0.1.3" "numpy==2.4.6"

cat > "$scratch/expected" <<'TEXT'
14 spikes: a current of 1400
15 spikes: a current of 1500
16 spikes: a current of 1500
40 spikes: a current of 1500
255 spikes: a current of 1500
256 spikes: TypeError
TEXT

"$scratch/venv/bin/python" -W ignore - > "$scratch/seen" <<'PYTHON'
import xylosim.v2 as xylo

to_hidden, to_output = [[xylo.XyloSynapse(0, 0, 100)]], [[xylo.XyloSynapse(0, 0, 1)]]
for spikes in (14, 15, 16, 40, 255, 256):
    layer = xylo.XyloLayer(
        synapses_in=to_hidden, synapses_rec=[[]], synapses_out=to_output, aliases=[[]],
        threshold=[32767], threshold_out=[32767], bias=[0], bias_out=[0], has_bias=True,
        weight_shift_inp=0, weight_shift_rec=0, weight_shift_out=0,
        dash_mem=[15], dash_mem_out=[15], dash_syns=[[15]], dash_syns_out=[[15]], name="one",
    )
    try:
        layer.evolve([[spikes]])
        print(f"{spikes} spikes: a current of {layer.rec_i_syn[0][0] + 1}")  # it decays by 1 in a step
    except TypeError:
        print(f"{spikes} spikes: TypeError")
PYTHON

diff "$scratch/expected" "$scratch/seen"
echo "as described"
