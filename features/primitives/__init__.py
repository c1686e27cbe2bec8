"""Primitives: what makes one value of many rows, or of one; one per file, all listed in `vocabulary`."""
