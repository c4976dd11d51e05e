"""From the bytes of an image file to upright sRGB pixels, and to hashes that find duplicates."""

from mayak.imaging.decode import decode, decode_file

__all__ = ["decode", "decode_file"]
