"""All that is printed: announcements, the progress bar, tables and verdicts."""
