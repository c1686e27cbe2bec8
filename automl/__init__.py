"""From a feature matrix and a label to a tuned, calibrated, evaluated and explained model."""
