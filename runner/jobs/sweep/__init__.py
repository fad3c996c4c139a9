"""What belongs to a sweep: its parent and group runs, what is done of it, its results."""
