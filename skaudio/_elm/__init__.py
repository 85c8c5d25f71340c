"""The inside of extreme learning machines, and probabilities for other classifiers too."""
