"""Charts and documents made from data; knows no page and no model."""
