"""Test accuracy at one wall budget: ours against other AutoML systems, on real credit data."""
