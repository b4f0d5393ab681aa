"""What every callback is built on, and what the loop records."""
