"""Diamond Cutter shows what convolutional networks look for."""
