"""The checks of `doctor`: the software, its servers, the bucket and this machine."""
