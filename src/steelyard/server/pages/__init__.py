"""The page: rooms rendered on the server from the same records that the command line shows."""
