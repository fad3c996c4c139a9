"""Settings: YAML and the command line in, a typed and frozen Experiment or one error out."""
