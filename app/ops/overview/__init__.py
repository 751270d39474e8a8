"""What shows everything: reports, and the doctor."""
