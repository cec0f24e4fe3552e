"""Documents to passages: sources, parsers, versions, generations and ingest."""
