"""A bucket on Google Cloud Storage."""
