"""The HTTP API and the page: routes over the same calls that the command line makes."""
