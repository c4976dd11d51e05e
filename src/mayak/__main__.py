"""``python -m mayak``: the ``mayak`` command if its script is not on the path."""

from mayak.cli.app import main

if __name__ == "__main__":
    main()
