"""Graphcore IPUs through PopTorch, in process, in a worker of another Python, or emulated.

`worker` is the part that runs beside PopTorch, on Python 3.8 with torch 2.0 and NumPy; it imports
nothing else of this project. The rest runs where snnhw does, and thinks.
"""
