"""A model by name -> its bundle in the bucket."""
