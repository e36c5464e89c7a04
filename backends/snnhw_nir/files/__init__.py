"""NIR files: whether one is safe to open, what stands in it, and what of ours stands beside the graph."""
