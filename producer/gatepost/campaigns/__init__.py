"""Bulk sends: from a recipients' file to every recipient's outcome."""
