"""`keras.preprocessing.text`: nothing any more; what is asked for is told what replaced it."""

__all__: list[str] = []
