"""Pruning: weights set to zero, and channels removed together with everything that hangs on them."""
