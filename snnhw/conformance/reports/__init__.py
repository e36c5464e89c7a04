"""The result of a run: in numbers, as data, and as a page for a browser."""
