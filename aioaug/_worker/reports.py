"""Log records and warnings of a worker, on their way to the handlers and filters of the parent."""

from __future__ import annotations

import copy
import logging
import os
import re
import sys
import threading
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple, TextIO

from .._base import pickling
from .._base.results import survives
from .._transport import serialization
from .._transport.messages import Report, WorkerConnection

# The name of the caller's main program in workers, and in the parent.
_MAIN_HERE, _MAIN_THERE = "__mp_main__", "__main__"

# Which warnings were shown already, for modules that the parent has not imported.
_shown: defaultdict[str, dict[Any, Any]] = defaultdict(dict)


class _Filter(NamedTuple):
    """An entry of `warnings.filters`, in words that unpickle wherever they go."""

    action: Any
    message: str
    category: tuple[str, str]  # its module and name
    module: str
    line: int


class ReportLevels(NamedTuple):
    """What the parent wants to hear of: levels of loggers, and filters of warnings."""

    disabled: int
    levels: dict[str, int]
    filters: tuple[_Filter, ...]

    @classmethod
    def of_this_process(cls) -> ReportLevels:
        loggers = logging.root.manager.loggerDict.copy()
        levels = {
            name: logger.level
            for name, logger in loggers.items()
            if isinstance(logger, logging.Logger) and logger.level
        }
        if _MAIN_THERE in levels:
            levels[_MAIN_HERE] = levels[_MAIN_THERE]
        levels["root"] = logging.root.level
        return cls(logging.root.manager.disable, levels, tuple(_filters()))

    def set_levels(self) -> None:
        """Let loggers of this process have the levels that the parent's have."""
        logging.disable(self.disabled)
        for name, level in self.levels.items():
            logging.getLogger(name).setLevel(level)

    def set_filters(self) -> None:
        """Let warnings be filtered here as in the parent; one that is an error there is one here.

        A filter for a class of a module that this process has not imported is left out. Later ones
        could then make an error of what that filter permits, and so they do not.
        """
        known = []
        complete = True
        for action, message, (module_name, class_name), *where in self.filters:
            module = sys.modules.get(module_name)
            # Not by getattr, which would import the main program.
            category = vars(module).get(class_name) if module else None
            if isinstance(category, type) and issubclass(category, Warning):
                allowed = action if complete or action != "error" else "always"
                known.append((allowed, message, category, *where))
            else:
                complete = False
        for entry in reversed(known):  # each is put before those that are there
            warnings.filterwarnings(*entry)


def forward(connection: WorkerConnection) -> None:
    """From now on, have the parent handle the log records and warnings of this process.

    Handlers that something sets up here are not called: it is mostly the main program, or another
    module that the parent has imported as well, and each record would be handled twice.
    """
    handler = _ForwardingHandler(connection)

    def call_handlers(logger: logging.Logger, record: logging.LogRecord) -> None:
        handler.emit(record)

    def show(
        message: Any,  # a Warning, but for who calls this by itself
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        warning = _carried(message if isinstance(message, Warning) else category(message))
        module = _module_that_warned(filename, lineno)
        _send(connection, ForwardedWarning(warning, filename, lineno, module))

    restore: Callable[[], None] = _setter(logging.Logger.callHandlers, warnings.showwarning)
    _setter(call_handlers, show)()
    if hasattr(os, "register_at_fork"):
        # A process that an augmenter forks must not write into the connection of this one.
        os.register_at_fork(after_in_child=restore)


def deliver(head: bytes | memoryview) -> None:
    """Give a report to the handlers and filters of this process, the parent.

    An exception of theirs is told as one that ends a thread, but ends none.
    """
    try:
        serialization.rebuild(head).deliver()
    except BaseException as error:
        about = (type(error), error, error.__traceback__, threading.current_thread())
        threading.excepthook(threading.ExceptHookArgs(about))


class ForwardedRecord(NamedTuple):
    """A log record of a worker."""

    record: logging.LogRecord

    def deliver(self) -> None:
        """Handle it, unless its level was raised above this one since the worker started."""
        logger = logging.getLogger(self.record.name)
        if logger.isEnabledFor(self.record.levelno):
            logger.handle(self.record)


class ForwardedWarning(NamedTuple):
    """A warning that the filters of a worker let through."""

    warning: Warning
    filename: str
    line: int
    module: str

    def deliver(self) -> None:
        """Warn of it here; what a filter says only since the worker started holds as well."""
        module = sys.modules.get(self.module)
        shown = vars(module).setdefault("__warningregistry__", {}) if module else None
        where = type(self.warning), self.filename, self.line
        try:
            warnings.warn_explicit(
                self.warning,
                *where,
                module=self.module,
                registry=_shown[self.module] if shown is None else shown,
            )
        except Warning:
            # A filter says by now that it is an error, but nobody is here who could catch it.
            warnings.showwarning(self.warning, *where)


class _ForwardingHandler(logging.Handler):
    """Sends records. It has no use for its lock, which could wait for itself: see `send`."""

    def __init__(self, connection: WorkerConnection) -> None:
        super().__init__()
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        try:
            _send(self._connection, ForwardedRecord(_portable(record)))
        except Exception:
            self.handleError(record)


def _portable(record: logging.LogRecord) -> logging.LogRecord:
    """A copy that pickles: its exception is text, and so is all of it that does not pickle."""
    record = copy.copy(record)
    if record.exc_info and not record.exc_text:
        record.exc_text = logging.Formatter().formatException(record.exc_info)
    record.exc_info = None
    if record.name == _MAIN_HERE:
        record.name = _MAIN_THERE
    if survives(record):
        return record
    plain = logging.makeLogRecord(vars(record))
    plain.msg, plain.args = record.getMessage(), None
    for name, value in vars(plain).items():
        if not survives(value):  # given by `extra`
            vars(plain)[name] = repr(value)
    return plain


def _send(connection: WorkerConnection, report: ForwardedRecord | ForwardedWarning) -> None:
    with suppress(OSError):  # the parent is gone, and so is this process in a moment
        connection.send(Report(pickling.dumps(report)))


def _setter(call_handlers: Any, show: Any) -> Callable[[], None]:
    def set_both() -> None:
        logging.Logger.callHandlers = call_handlers  # type: ignore[method-assign]
        warnings.showwarning = show

    return set_both


def _filters() -> Iterator[_Filter]:
    for action, message, category, module, line in tuple(warnings.filters):
        name = getattr(category, "__module__", ""), getattr(category, "__qualname__", "")
        pattern = _pattern(module)
        yield _Filter(action, _pattern(message), name, pattern, line)
        if pattern and re.match(pattern, _MAIN_THERE):
            yield _Filter(action, _pattern(message), name, _MAIN_HERE, line)


def _pattern(filtered: Any) -> str:
    """What `warnings.filterwarnings` was given; Python itself has whole names instead."""
    if isinstance(filtered, re.Pattern):
        return str(filtered.pattern)
    return rf"{re.escape(filtered)}\Z" if filtered else ""


def _carried(warning: Warning) -> Warning:
    """The warning itself if it survives pickling, else its text as a warning of Python's own."""
    if survives(warning):
        return warning
    builtin = (near for near in type(warning).__mro__ if near.__module__ == "builtins")
    return next(near for near in builtin if issubclass(near, Warning))(str(warning))


def _module_that_warned(filename: str, line: int) -> str:
    """The name of the module with this line, which calls this from some depth."""
    frame = sys._getframe()
    while frame is not None:
        if (frame.f_code.co_filename, frame.f_lineno) == (filename, line):
            name = str(frame.f_globals.get("__name__", "<unknown>"))
            return _MAIN_THERE if name == _MAIN_HERE else name
        frame = frame.f_back  # type: ignore[assignment]
    return os.path.splitext(filename)[0]
