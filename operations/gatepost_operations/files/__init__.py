"""Recipient files: formats, columns, rows, check, rejects and export."""
