"""Measurements: each compares side by side in one run and prints one JSON object as its last line."""
