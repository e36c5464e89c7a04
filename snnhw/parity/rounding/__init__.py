"""What rounding may do to a network: bounds on it, and numbers that refuse to be rounded."""
