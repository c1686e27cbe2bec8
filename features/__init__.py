"""Point-in-time features of related tables: defined once, computed alike for training, batches and one live case."""
