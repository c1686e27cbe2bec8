"""The commands of ``workbench``: thin faces of the flows, one module per group of verbs."""
