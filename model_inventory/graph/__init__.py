"""Frozen graphs: read, cut, folded, measured and checked."""
