"""What a person reads: the bar, announcements, and the tables and verdicts at the end."""
