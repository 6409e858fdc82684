"""The entry point of `bridge4d`, and of ``python -m bridge4d``."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C while its packages are loading ends like any other."""
    try:
        from bridge4d.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("error: stopped before anything was done\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
