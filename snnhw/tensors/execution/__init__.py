"""What every backend on torch is made of, whatever its device.

`snnhw.tensors.network` runs a program; `claims` says which ops, as data. `executable` puts a device,
parameters and training around it: `trainer` and `optimizers` make an update, `commit` makes it at once,
`paths` lists what is decided by measurement, and `chosen` saves what was. `explain` tells what runs, and
`precision` has products at a coarser one.
"""
