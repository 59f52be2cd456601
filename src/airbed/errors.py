"""The errors a user sees, each with the exit code that the command line ends with."""

from __future__ import annotations


class AirbedError(Exception):
    """Base of every error that reaches the user as one line.

    The message says what failed, where airbed looked, and what to do.
    """

    exit_code = 3


class RunFailed(AirbedError):
    """The thing under test failed: a run, a scenario, an assertion (exit code 1)."""

    exit_code = 1


class UsageError(AirbedError):
    """Wrong usage or input; nothing was started or changed (exit code 2)."""

    exit_code = 2


class NotOnThisSubstrate(UsageError):
    """What was asked for is not possible on the bed's substrate, for a declared reason; tests are skipped with it."""


class Unavailable(AirbedError):
    """The bed, or a part of it, is not available (exit code 3)."""

    exit_code = 3
