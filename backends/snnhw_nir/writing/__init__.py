"""From programs to graphs: what each layer and neuron is in NIR."""
