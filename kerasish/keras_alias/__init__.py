"""What lets `import keras` mean kerasish; see `kerasish.as_keras`."""

from kerasish.keras_alias.finder import (
    KERAS_VERSION,
    AbsentModule,
    KerasFinder,
    SourceModule,
    install,
)

__all__ = ["AbsentModule", "KERAS_VERSION", "KerasFinder", "SourceModule", "install"]
