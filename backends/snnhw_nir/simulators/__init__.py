"""Simulators that read NIR, each run in a process of its own, so that a file can be verified in them."""
