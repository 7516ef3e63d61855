"""Documentation, tested where it can be."""
