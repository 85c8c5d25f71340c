"""Tools around the extractors: discovery, and the public checks."""
