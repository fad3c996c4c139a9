"""The commands: a person's words become one call into jobs, and end with an exit code."""
