"""Tests of the data plane and of the real programs of the embedded world."""
