"""Two models on the same images: accuracy, similar layers, matching channels."""
