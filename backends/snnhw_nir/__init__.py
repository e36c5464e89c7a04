"""The Neuromorphic Intermediate Representation: ``.nir`` files, written and read.

A graph is a plain value (`graph`); its subgraphs are inlined (`wires`), and its cycles hold a step of delay
(`cycles`). What a file leaves open is its `convention`. `importing` and `exporting` are the two ways through:

    file  --files-->  graph  --reading-->  program
    program  --writing-->  graph  --targets-->  graph for one reader  --files-->  file

What a reader makes of a graph is data, in `targets.dialects`; `simulators` runs the readers themselves. The
package ``nir`` is imported only to write, and HDF5 only while a file is open.
"""
