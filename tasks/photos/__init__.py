"""The user's images: find them, decode them, and measure the activations that they cause."""
