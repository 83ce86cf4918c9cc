"""The shared parts of all pages: rendering, styles and scripts."""
