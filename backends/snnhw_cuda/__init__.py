"""The backend for NVIDIA GPUs: programs on torch tensors there, neurons as kernels that Triton compiles."""

from __future__ import annotations
