"""The report that compares two models."""
