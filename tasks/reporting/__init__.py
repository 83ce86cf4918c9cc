"""A report: what attribution found in a folder of images, as pages for people and as tables and
JSON for programs.
"""
