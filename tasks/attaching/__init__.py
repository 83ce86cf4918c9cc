"""Training of new layers on a cut network."""
