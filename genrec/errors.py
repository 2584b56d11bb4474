"""Every error that a user can cause.

    GenrecError
    ├── DataError          a file, row, column or frame that cannot be read as interactions
    ├── CatalogueError     an item that is missing, repeated, untitled or without a code
    │   └── UnknownItemError   an id or title that the catalogue does not hold
    ├── ConfigError        a recipe, option or argument outside what is allowed
    ├── NotFittedError     a recommender that was asked before it was fitted
    ├── RunError           a run folder that is missing, half written or of another kind
    ├── BackendMissingError    an optional library or device that is needed and not there
    └── ChatError          a chat model or endpoint that does not answer

Each message says what was found, what is allowed and what to do. The command line prints it in one line and
exits with 2. Mistakes of our own are `assert`s and end in a traceback.
"""


class GenrecError(Exception):
    """Root of all errors that a user can cause."""


class DataError(GenrecError):
    """Input that cannot be read as interactions."""


class CatalogueError(GenrecError):
    """An item that is missing, repeated, untitled or without a code."""


class UnknownItemError(CatalogueError):
    """An id or title that the catalogue does not hold."""


class ConfigError(GenrecError):
    """A recipe, option or argument outside what is allowed."""


class NotFittedError(GenrecError):
    """A recommender that was asked before it was fitted."""


class RunError(GenrecError):
    """A run folder that is missing, half written or of another kind."""


class BackendMissingError(GenrecError):
    """An optional library or device that is needed and not there."""


class ChatError(GenrecError):
    """A chat model or endpoint that does not answer."""
