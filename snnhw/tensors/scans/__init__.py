"""Scans over time on tensors: one layer of neurons, all its steps, forward and back.

`provider` says what a device has to give; `eager` gives it everywhere, `printed` whoever prints kernels, and
`installed` finds who does. `site` is one use of a neuron's equations, with its geometry and its kernels;
`passes` are the two passes of it, `scan` puts them into autograd's graph, `compiled` into the graphs of
``torch.compile``, and `recorded` leaves to autograd what no equation says the derivative of. `kernel_cache`
keeps machine code.
"""
