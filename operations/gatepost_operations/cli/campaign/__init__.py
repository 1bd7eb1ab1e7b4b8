"""`gatepost campaign`: from a file of recipients to one final state for each of them."""
