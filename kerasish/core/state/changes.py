"""How often layers and Variables have been changed, other than in value.

What was compiled of a model remembers the count, and looks at the model again when it is another.
"""


class _Changes:
    count = 0
    structure = 0  # without what only says what is trained, and how training goes


changes = _Changes()
