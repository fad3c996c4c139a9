"""Many jobs as one sweep: gone on with where it stopped, summed up over seeds, shown again later.

`session` runs one, `show` reads it back. The jobs themselves are run as any others are.
"""
