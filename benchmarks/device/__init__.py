"""One command for the day a GPU is there: ``python -m benchmarks.device --minutes 8``; see ../README.md."""
