"""Tools for authors of extractors: discovery, and the public checks."""
