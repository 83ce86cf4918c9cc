"""The Prefect server that shows a run: the one in use, or a private one."""
