"""Check the preprocessing of a model on labelled images."""
