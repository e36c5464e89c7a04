"""Layers as torch modules: neurons, made from their equations, and others that tell steps apart.

`neuron` is the class of them all, whose constructor takes what `arguments` derives from a model; `neurons`
are those with a class of their own, `classes` makes all others, `custom` a neuron from equations that a user
writes, and `parents` and `firing` are what snnTorch's scripts subclass. `states` is what a layer carries from
call to call; `running` runs one that is made of several ops, `graphs` all of them inside ``torch.compile``.
`norm_dropout`, `delay` and `graded` are no neurons. Nothing here knows of capture.
"""
