"""What cases are made with: networks and single ops, numbers for them, and proofs."""
