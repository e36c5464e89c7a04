"""Scripts for whatever Python has a vendor's simulator: they import nothing of snnhw."""
