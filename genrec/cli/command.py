"""A command of the command line: every option at most once, unless it is a list."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

from genrec.errors import ConfigError


class Command(TyperCommand):
    """Refuses what the parser would take in silence: of an option that is given twice, the last one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words of a command line.

        Raises:
            ConfigError: an option that is no list is given more than once.
        """
        given = self.make_parser(ctx).parse_args(list(args))[2]  # one entry for each time
        for option in given:
            if option.param_type_name == "option" and not (option.multiple or option.is_eager):
                times = given.count(option)
                if times > 1:
                    raise ConfigError(f"{'/'.join(option.opts)} is given {times} times: give it once")
        return super().parse_args(ctx, args)
