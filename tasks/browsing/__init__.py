"""The site that `browse` serves: galleries and reports, made from the records of a bucket."""
