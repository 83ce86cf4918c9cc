"""The models of lucid's zoo."""
