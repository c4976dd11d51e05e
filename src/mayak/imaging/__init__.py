"""Decode image files into upright sRGB pixels, and hash pictures to find duplicates."""

from mayak.imaging.decode import decode, decode_file, stated_size

__all__ = ["decode", "decode_file", "stated_size"]
