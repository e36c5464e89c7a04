"""What runs beside PopTorch. Needs Python 3.8, NumPy and torch 2.0, and imports nothing of snnhw.

A `session` builds a torch module from a recipe (`model`) and wraps it with PopTorch, or with its
stand-in (`double`). `server` reaches a session over pipes; `frames` says what goes through them.
"""
