"""Errors, text, files, signals and settings of the process; every room may use them."""
