"""Finds the best settings for a model's layers, and keeps them as the model's preset."""
