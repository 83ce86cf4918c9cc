"""What one node of the DAG does, a folder for each kind of node."""
