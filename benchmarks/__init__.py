"""How fast snnhw is beside other libraries: ``python -m benchmarks --help``; see README.md."""
