"""A synthetic guarantee world, seeded and repeatable; no person or firm in it is real."""
