"""What Gatepost's producers, workers and operations share."""
