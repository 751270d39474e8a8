"""What the database is like: one question, one function, one statement, each bounded and honest."""
