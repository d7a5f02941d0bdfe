"""What makes the book: runs of notebooks, provenance, tables, figures, verdicts, whole folders."""
