"""The corridor: carries clips through the five rooms, so that no extractor has to."""
