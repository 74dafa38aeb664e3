"""The one family of errors whose message is meant for a user.

Every message is one sentence that names the file or setting, what was found, what was expected
and what to do. The command line prints it and exits with 2; the app shows it in place of the page.
"""

LONGEST = 700
"""Characters of a message: a path may have 4,096, a line of a table as many as its file."""


def one_line(text: str, most: int = LONGEST) -> str:
    """``text`` as one line that any terminal and page can show, of at most ``most`` characters.

    What is not printable (line breaks, control characters, text direction marks, bytes that are no UTF-8) is escaped as
    in a Python string, and of a longer text the middle is left out.
    """
    if len(text) > most:
        text = f"{text[: most // 2 - 2]} ... {text[-(most - most // 2 - 3) :]}"
    if text.isprintable():
        return text
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return escaped if len(escaped) <= most else one_line(escaped, most)


class SSRNetError(Exception):
    """Base of every error whose message a user may read as it stands: one line, see :func:`one_line`.

    The names in a message are those of files, which may hold anything.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(str(message)))


class SettingsError(SSRNetError):
    """A value of a setting that cannot work."""


class DataError(SSRNetError):
    """A data folder, list, manifest or image that cannot be used."""


class CheckpointError(SSRNetError):
    """A weights file that cannot be loaded, or that belongs to another network."""


class ProtocolError(SSRNetError):
    """A protocol that the data set cannot serve."""


class ResourceError(SSRNetError):
    """Memory, disk or a device that is not enough for what was asked."""


class InstallationError(SSRNetError):
    """Libraries that do not fit together."""


class TrainingError(SSRNetError):
    """A training run that cannot go on."""


class DivergedError(TrainingError):
    """A training run whose loss is no number any more."""
