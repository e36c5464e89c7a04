"""Readers of NIR as data, and what is done to a graph so that one of them computes it correctly."""
