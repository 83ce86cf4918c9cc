"""Activation maximisation: a picture of what excites each channel."""
