"""The group of commands, and the messages and exit codes for their errors."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Sequence

import click

from .. import MissingExtra, __version__
from ..errors import AugmenterSpecError
from .augment import augment
from .bench import bench
from .console import say, showable
from .doctor import doctor
from .exits import EPILOG, CommandError, Exit, Interrupted, one_line
from .inspection import inspect
from .preview import preview
from .remake import remake
from .serve import serve

TRACEBACK = "AIOAUG_TRACEBACK"


@click.group(name="aioaug", epilog=EPILOG, invoke_without_command=True)
@click.version_option(__version__, prog_name="aioaug")
@click.pass_context
def aioaug(context: click.Context) -> int:
    """Augment pictures on many cores."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        return Exit.USAGE
    return Exit.FINE


for _command in (augment, remake, preview, serve, inspect, bench, doctor):
    _command.epilog = EPILOG
    aioaug.add_command(_command)


def run_command(arguments: Sequence[str] | None) -> int:
    """Run one command line; every error is one line on stderr and an exit code."""
    try:
        return int(aioaug.main(arguments, prog_name="aioaug", standalone_mode=False) or 0)
    except Exception as error:
        if os.environ.get(TRACEBACK):
            for line in traceback.format_exc().splitlines():
                click.echo(showable(line), err=True)
        message, code = _verdict(error)
        say(message)
        return code


def _verdict(error: Exception) -> tuple[str, int]:
    if isinstance(error, click.Abort):
        return "interrupted", Interrupted(signal.SIGINT).code
    if isinstance(error, Interrupted):
        return str(error), error.code
    if isinstance(error, CommandError):
        return f"error: {error}", error.code
    if isinstance(error, (AugmenterSpecError, MissingExtra)):
        return f"error: {error}", Exit.INPUT
    if isinstance(error, click.ClickException):
        message = " ".join(error.format_message().split())
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        hint = f" (see {where} --help)" if where else ""
        return f"error: {message.rstrip('.')}{hint}", error.exit_code
    return f"error: {one_line(error)} (set {TRACEBACK}=1 to see where)", Exit.UNEXPECTED
