"""TensorFlow's own files: frozen graphs and SavedModels, read as data."""
