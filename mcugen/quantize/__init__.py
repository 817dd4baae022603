"""Calibration and quantization: from a float graph and sample data to the integer graph."""
