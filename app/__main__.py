"""The roof of the command line: `license-server`, or `python -m app`."""

from __future__ import annotations

from app.cli.main import app


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
