"""The model of a run, logged and served."""
