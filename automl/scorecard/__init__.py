"""The points scorecard: bins that a person can edit, and points that are one number on every path."""
