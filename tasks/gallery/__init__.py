"""A set's records -> its gallery: a static site in which people look around."""
