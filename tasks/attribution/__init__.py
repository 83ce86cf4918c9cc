"""Attribution: which channels and image regions decide a class in the user's images."""
