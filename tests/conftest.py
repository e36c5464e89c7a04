"""What all tests share."""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the cores already; torch's threads on top of them would only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
