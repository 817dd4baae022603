"""`python -m mcugen` is the command `mcugen`."""

from mcugen.entry import main

if __name__ == "__main__":
    main()
