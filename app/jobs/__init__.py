"""The clock: jobs come with maintenance."""
