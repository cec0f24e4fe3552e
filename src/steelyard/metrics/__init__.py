"""Scores of outputs, per item first, and their statistics. Loads nothing heavy until a part is used."""
