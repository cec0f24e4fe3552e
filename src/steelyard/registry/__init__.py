"""Versions of fitted candidates, aliases, and the record of every use of a holdout."""
