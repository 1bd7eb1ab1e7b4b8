"""A campaign's records: options, rows, batches and the store."""
