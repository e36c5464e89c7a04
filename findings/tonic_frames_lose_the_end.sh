#!/usr/bin/env bash
# Tonic 1.7.0: `ToFrame` drops the events at the end of a recording, and may drop all of them.
#
# With `n_time_bins` the length of a bin is the time between the first event and the last, in whole units, divided
# by the number of bins and rounded down: what lies behind the last bin is lost, and the last event always is. Of a
# hundred events, one in each microsecond, sixty bins keep sixty and a hundred bins keep none: there a bin is 0
# long. With `time_window` a last window that is not full is dropped with its events, though one that is alone is
# kept, even if it is much longer than the recording. No warning is given; one would expect the frames to hold
# every event of the recording.
#
# Seen with Python 3.11, NumPy 2.4.6: the lines under `expected`.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"${PYTHON:-python3.11}" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet "tonic==1.7.0" "numpy==2.4.6"

cat > "$scratch/expected" <<'TEXT'
100 events in 10 bins: 90 are in the frames
100 events in 60 bins: 60 are in the frames
100 events in 99 bins: 99 are in the frames
100 events in 100 bins: 0 are in the frames
100 events in windows of 30: 90 are in 3 frames
100 events in windows of 60: 60 are in 1 frames
100 events in windows of 1000: 100 are in 1 frames
TEXT

"$scratch/venv/bin/python" -W ignore - > "$scratch/seen" <<'PYTHON'
import numpy as np
from tonic.transforms import ToFrame

events = np.zeros(100, np.dtype([("x", int), ("y", int), ("t", int), ("p", int)]))
events["t"] = np.arange(100)
for bins in (10, 60, 99, 100):
    frames = ToFrame(sensor_size=(1, 1, 1), n_time_bins=bins)(events)
    print(f"100 events in {bins} bins: {frames.sum()} are in the frames")
for window in (30, 60, 1000):
    frames = ToFrame(sensor_size=(1, 1, 1), time_window=window)(events)
    print(f"100 events in windows of {window}: {frames.sum()} are in {len(frames)} frames")
PYTHON

diff "$scratch/expected" "$scratch/seen"
echo "as described"
