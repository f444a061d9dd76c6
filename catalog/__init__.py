"""What is known and who did what: SQL and photo files."""
