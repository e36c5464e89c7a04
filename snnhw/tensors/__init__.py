"""The torch runtime: what programs mean on tensors of any device.

`scans` are layers of neurons over time, and who runs them; `network` is a whole program; `execution` what
every backend on torch is made of. `losses` and `surrogates` are values of the language on tensors, and
`tracing` and `custom` surrogates that a user writes. The front end and backends on torch share all of it.
Importing this package alone imports no torch.
"""
