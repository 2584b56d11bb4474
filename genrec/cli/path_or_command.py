"""A group of commands of which one is meant by a path alone."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class PathOrCommand(TyperGroup):
    """`genrec GROUP PATH` is short for `genrec GROUP show PATH`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args:
            args = ["--help"]
        elif args[0] not in self.commands and args[0] != "--help":
            args = ["show", *args]
        return super().parse_args(ctx, args)
