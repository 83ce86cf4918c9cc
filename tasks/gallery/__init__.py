"""The gallery of a set: a static site, built from the set's records."""
