"""From a torch module to a program.

`capture` leads through four stages. Take a network whose forward holds the loop over time itself::

    def forward(self, x):                       # x [T, B, 4]
        mem = self.lif.init_leaky()
        for step in range(x.shape[0]):
            spk, mem = self.lif(self.fc(x[step]), mem)
            ...

1. *Record.* `trace` calls the forward once, on `symbols` in the place of tensors, with copies of the modules
   that tell which of them is called (`standing`, which finds them by `insides`). What comes out is a graph in
   which the loop stands written out: fc, lif, fc, lif, ...
2. *See what repeats.* `unrolled` says which step every node belongs to, and which nodes do the same.
3. *Fold.* `loops` holds all steps to the first, and that every neuron goes on from the state it left, and
   gives the graph of one step: fc, lif. A network that computes one step is that from the beginning.
4. *Build.* Each node of this graph becomes ops and edges (`building`): modules by the table of `layers`,
   functions and methods by that of `functions`, with `functional` for those that move or pool values and
   `pointwise` for those of one element at a time. `signals` are what values stand for meanwhile; a program
   within the network is put in by `inlining`.

An error in any of them names the user's line. `sample` is what a user gives besides the module, `carrying`
which modules carry something from step to step.
"""
