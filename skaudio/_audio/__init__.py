"""Stage 1 from inside: sound files and arrays of all kinds -> float32 waves."""
