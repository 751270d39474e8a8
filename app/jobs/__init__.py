"""The clock: what the server does by itself."""
