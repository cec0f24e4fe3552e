"""The command line: arguments in, one `Workspace` call, text or JSON out."""

from __future__ import annotations


def main() -> None:
    """Run the `steelyard` command and exit with its code: 0 done, 1 the answer is no, 2 wrong usage or input, 3 broken."""
    from steelyard.cli.app import run

    run()
