"""Running programs with torch: shared by the backends whose arrays are torch tensors.

`snnhw.tensors.network` runs a program; `executable` puts a device, parameters and training around it, and
`claims` says which ops that can run, without importing torch. So nothing is imported here.
"""
