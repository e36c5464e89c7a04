"""Chips: each a file of limits, a rule in equations, and what makes integers of a network."""
