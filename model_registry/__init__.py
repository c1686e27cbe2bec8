"""Bundles, versions, review, approval, deployment and their history.

Nothing heavy is imported here: a scoring host needs `model_registry.scorer` and not MLflow.
"""
