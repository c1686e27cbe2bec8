"""The workbench: pages, commands and jobs over one set of use cases."""
