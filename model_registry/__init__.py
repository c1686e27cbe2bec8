"""What was built, what was reviewed, who signed, and what serves: bundles, versions, approvals, deployments."""
