"""The one family of errors whose message is meant for a user.

Every message is one sentence that names the file or setting, what was found, what was expected
and what to do. The command line prints it and exits with 2; the app shows it in place of the page.
"""


class SSRNetError(Exception):
    """Base of every error whose message a user may read as it stands."""


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
