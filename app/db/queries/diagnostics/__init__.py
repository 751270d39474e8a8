"""What PostgreSQL's catalogs and statistics say; no table of ours is read here, so no tenant's row either."""
