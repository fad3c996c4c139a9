"""From an experiment and its data to trained weights and what they are worth."""
