"""What all pages for people share: how they are made, how they look, and what their scripts build
on.
"""
