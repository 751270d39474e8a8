"""The work of maintenance runs, one kind a file."""
