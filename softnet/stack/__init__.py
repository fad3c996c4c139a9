"""Arrays of a stack."""
