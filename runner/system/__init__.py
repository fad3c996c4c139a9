"""What every room needs of Python and the machine: errors, text, files, signals, terminal."""
