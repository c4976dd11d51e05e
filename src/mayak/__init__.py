"""mayak sorts the images of a seized phone or disk, and can prove how."""

from importlib.metadata import version

__version__ = version("mayak")
