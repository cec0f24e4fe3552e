"""Labelled examples: reading, checking, splitting, and the sealed holdout. Loads nothing heavy until a part is used."""
