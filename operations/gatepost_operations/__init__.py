"""What operators use: the command line, recipient files, planning and maintenance."""
