"""Scores of cuts: how well the features of each layer tell the classes of images apart."""
