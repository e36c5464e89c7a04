"""What rounding may do to a network: proofs that it does nothing, and bounds where it does."""
