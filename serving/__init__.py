"""The scoring service that business systems call."""
