"""What a model is made of and what it costs: summaries, FLOPs, memory, images."""
