"""What every backend on torch is made of, whatever its device.

`snnhw.tensors.network` runs a program; `claims` says which ops, as data. `executable` puts a device,
parameters and training around it: `trainer` and `optimizers` make an update, `commit` makes it at once,
`chosen` saves what was decided by measurement. `explain` tells what runs, and `precision` has products at a
coarser one.
"""
