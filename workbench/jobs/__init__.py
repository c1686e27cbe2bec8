"""Long work as rows of our own table, each run in a child process."""
