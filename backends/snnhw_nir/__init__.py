"""The Neuromorphic Intermediate Representation: ``.nir`` files, written and read.

A file becomes a `graph.Graph`, a plain value, by way of `guard`; what a graph means as a program is said in
`reading`, and how a program is said as a graph, in `writing`. What a reader makes of a graph is data, in
`dialects`. The package ``nir`` is imported only to write, and HDF5 only while a file is open.
"""
