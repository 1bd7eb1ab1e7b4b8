"""The comparison with other task queues: the stub, the programs, the runs, the figures and the page."""
