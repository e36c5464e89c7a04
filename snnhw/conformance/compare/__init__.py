"""How far apart two runs are, and whether rounding explains it."""
