"""What runs, in which order: the flows, their deployments and the command line."""
