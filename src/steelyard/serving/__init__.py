"""Serving: the candidates of the release in force as one pipeline; what was measured is what answers."""
