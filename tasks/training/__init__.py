"""Training of new heads on the features of a cut."""
