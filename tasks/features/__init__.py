"""Features of images: the pooled activations of layers."""
