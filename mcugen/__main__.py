"""`python -m mcugen` is the command `mcugen`."""

from mcugen.cli import main

if __name__ == "__main__":
    main()
