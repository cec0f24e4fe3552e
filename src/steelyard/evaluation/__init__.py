"""Runs candidates on the holdout, measures whole systems, and reproduces the published numbers."""
