"""The ground floor: what every other package may lean on, and nothing of credit risk itself."""
