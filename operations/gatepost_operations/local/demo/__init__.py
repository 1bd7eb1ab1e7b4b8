"""`gatepost demo`: the whole way once, with real processes, one of them killed, and a count that must come out."""
