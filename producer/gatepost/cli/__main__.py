"""`python -m gatepost.cli`, for where the script is not on the PATH."""

from gatepost.cli import main

if __name__ == "__main__":
    main()
