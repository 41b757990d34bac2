"""Every error that the package raises on purpose.

```
PamtError
├── InputError (also a ValueError)   the audio or an argument given by the caller
├── CheckpointError                  a model's files: missing, damaged, or of another layout
└── ConfigError (also a ValueError)  a configuration that no part can be built from
```

A message says what was expected, what came, and the likely mistake.
"""

__all__ = ["CheckpointError", "ConfigError", "InputError", "PamtError"]


class PamtError(Exception):
    """Root of every error raised on purpose by this package."""


class InputError(PamtError, ValueError):
    """The audio or an argument cannot be used as it is."""


class CheckpointError(PamtError):
    """A model's files are missing, damaged, or of another layout."""


class ConfigError(PamtError, ValueError):
    """A configuration names a part or a value that does not exist."""
