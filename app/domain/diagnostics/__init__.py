"""What can be asked about the database, what the answers are made of, and how each is judged."""
