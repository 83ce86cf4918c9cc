"""Keras models: the networks of keras.applications and users' files."""
