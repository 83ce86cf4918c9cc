"""The flows (DAGs of tasks), their requests, deployments and command line."""
