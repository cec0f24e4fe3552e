"""Records and errors that travel between rooms; standard library only."""
