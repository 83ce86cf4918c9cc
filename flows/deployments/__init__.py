"""Deployments on a Prefect server: served, or registered for the workers of a work pool."""
