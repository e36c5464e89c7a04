"""The CPU backend: programs on torch tensors in main memory."""

from __future__ import annotations
