"""Plain functions that make things with speaking defaults."""
