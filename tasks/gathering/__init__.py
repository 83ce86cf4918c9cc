"""Shards -> spritemaps and the index of a sprite set."""
