"""The data standard: the fields of the subject tables, the codes they hold, and the elements of credit reports."""

from warehouse.standard.catalogue import CodeTable, Element, Field, Standard, StandardTable, load

__all__ = ["CodeTable", "Element", "Field", "Standard", "StandardTable", "load"]
