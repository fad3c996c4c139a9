"""What a worker does with one stack, and the messages between it and the session."""
