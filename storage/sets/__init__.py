"""What lies in a bucket: keys, records, sprite sets and the views over them."""
