"""What decides a class in the user's own images: which channels, where in the image, at which
layer; and words for it.
"""
