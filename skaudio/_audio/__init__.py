"""Internals of stage 1: sound files and arrays of all kinds -> float32 waves."""
