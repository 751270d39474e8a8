"""The iTechSmart License Server."""

__version__ = "1.0.0"
