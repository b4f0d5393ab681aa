"""State that is mutable to write and pure to compile."""
