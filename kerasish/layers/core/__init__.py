"""Dense, embedding, input and other core layers."""
