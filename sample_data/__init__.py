"""A synthetic guarantee world, seeded and repeatable; no person or firm in it is real."""

from sample_data.world import DEMO_PROJECT, WORLD_VERSION, World, complete_data_model, generate_world, write_world

__all__ = ["DEMO_PROJECT", "WORLD_VERSION", "World", "complete_data_model", "generate_world", "write_world"]
