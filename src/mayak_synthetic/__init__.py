"""Synthetic images of the four classes, and a phone image that holds them."""
