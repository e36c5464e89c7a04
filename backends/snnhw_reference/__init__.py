"""The float64 reference, reached as a backend like any other."""
