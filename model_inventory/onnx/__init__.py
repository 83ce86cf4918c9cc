"""Imports ONNX files, as PyTorch and other frameworks export them."""
