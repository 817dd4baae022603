"""Passes: one file, one function `Graph -> Graph` of the file's name; their order is a tuple in pipeline.py."""
