"""A network and the user's images -> what its channels add to the classes, and what that says of each channel."""
