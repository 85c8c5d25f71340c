"""The engine: carries clips through the five stages, so that no extractor has to."""
