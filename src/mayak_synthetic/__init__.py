"""Synthetic images of the four classes, and the demo that runs the whole pipeline on them."""
