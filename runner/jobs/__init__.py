"""The path from composed configs to recorded outcomes: plan, stacks, workers, sessions."""
