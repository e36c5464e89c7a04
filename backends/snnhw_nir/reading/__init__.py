"""From graphs to programs: what each type of node is, and what a graph means."""
