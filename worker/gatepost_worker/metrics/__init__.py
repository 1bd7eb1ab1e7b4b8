"""The metrics of one worker process: names, counts and exposition."""
