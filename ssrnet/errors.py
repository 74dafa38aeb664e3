"""Errors whose message is meant for a user.

Every message is one sentence that names the file or setting, what it is, what was expected and what to do. The command
line prints it and exits with 2; the app shows it in place of the page.
"""

from collections.abc import Sequence

LONGEST = 700
"""Most characters of a message: a path may have 4,096, a line of a table as many as its file."""


def one_line(text: str, most: int = LONGEST) -> str:
    """``text`` as one line that any terminal and page can show, of at most ``most`` characters.

    Unprintable characters (line breaks, control characters, text direction marks, bytes that are not UTF-8) are escaped
    as in a Python string; a longer text loses its middle.
    """
    if len(text) > most:
        text = f"{text[: most // 2 - 2]} ... {text[-(most - most // 2 - 3) :]}"
    if text.isprintable():
        return text
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return escaped if len(escaped) <= most else one_line(escaped, most)


class SSRNetError(Exception):
    """Base of all errors with a message for a user: one printable line, whatever the file names in it hold."""

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(str(message)))


class SettingsError(SSRNetError):
    """An invalid value of a setting."""


class DataError(SSRNetError):
    """A data folder, list, manifest or image that cannot be used."""


class DamagedImagesError(DataError):
    """Images that cannot be read; ``problems`` has a sentence for each, the message the first and their number."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        several = "" if len(problems) == 1 else f"{len(problems):,} images cannot be read, the first: "
        super().__init__(several + problems[0])


class CheckpointError(SSRNetError):
    """A weights file that cannot be loaded, or that belongs to another network."""


class ProtocolError(SSRNetError):
    """A protocol that the data set cannot serve."""


class ResourceError(SSRNetError):
    """Too little memory or disk space, or a missing device."""


class InstallationError(SSRNetError):
    """Libraries that are missing or do not fit together."""


class TrainingError(SSRNetError):
    """A training run that cannot continue."""


class DivergedError(TrainingError):
    """A training run whose loss became NaN or infinite."""
