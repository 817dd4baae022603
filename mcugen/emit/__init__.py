"""From the program to one folder of C."""
