"""Where stacks run."""
