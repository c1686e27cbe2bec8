"""The data model as people work on it: evidence on all rows, edits, differences, and stored tables brought under it."""
