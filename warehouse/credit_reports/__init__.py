"""Second-generation credit reports of the central bank: XML in, rows of the subject tables out."""
