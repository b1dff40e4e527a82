"""The exception tree. A leaf module: it imports nothing of ours.

Every error a caller may want to tell apart has a class here; its text names the thing and the
remedy. Nothing in the project signals failure by returning ``None``.
"""

from __future__ import annotations


class SerialRuntimeError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(SerialRuntimeError):
    """A profile, option or URI is wrong; the text names the key and the accepted values."""


class UriError(ConfigError):
    """A connection URI cannot be parsed, or names an unknown scheme."""


class LinkError(SerialRuntimeError):
    """The line or connection is gone, could not be opened, or the peer does not answer."""


class LinkClosed(LinkError):
    """The other end hung up or the device disappeared."""


class LinkTimeout(LinkError):
    """No answer before the deadline."""


class OutcomeUnknown(LinkError):
    """The board restarted while a call was under way: it may or may not have been executed."""


class ProtocolError(SerialRuntimeError):
    """Bytes that break the wire format (truncated argument, wrong codec version, ...)."""


class CallRefused(SerialRuntimeError):
    """The board understood the call and refuses it; the text is the board's reason."""


class CallUnsupported(CallRefused):
    """The peer does not know this service or method."""


class AccessDenied(CallRefused):
    """The policy of the board does not let this client make the call."""


class ImageError(SerialRuntimeError):
    """A program file is not an image this board can run (architecture, ABI, content)."""


class NewProcessNeeded(ImageError):
    """A good image, but this process keeps something of an earlier one that would reach it."""


class StoreError(SerialRuntimeError):
    """The program store cannot keep or find a program (digest, names, quota, disk)."""


class BlobError(StoreError):
    """Unknown blob id, or a quota of the upload area is used up."""


class StateError(SerialRuntimeError):
    """The operation does not fit the PLC's present state (start without a program, ...)."""


class ProgramFault(SerialRuntimeError):
    """The PLC program crashed, looped or raised a fault."""


class VariableError(SerialRuntimeError):
    """An unknown variable, or a value that does not fit its type."""


class TableChanged(VariableError):
    """The program was replaced: indices of its variables mean something else now, or nothing."""


class TraceError(SerialRuntimeError):
    """The trace list was refused, or a trace token is no longer valid."""


class BoardError(SerialRuntimeError):
    """The C shim reported an errno; ``errno`` holds it."""

    def __init__(self, errno: int, text: str) -> None:
        super().__init__(text)
        self.errno = errno


class WorkerStopped(SerialRuntimeError):
    """The worker thread no longer takes jobs."""


class WorkerBusy(SerialRuntimeError):
    """The deadline of a call passed while it waited for the worker: it was not executed."""


class BuildError(SerialRuntimeError):
    """The compiler refused a PLC source; the text holds its messages."""


class PackagingError(SerialRuntimeError):
    """A package or an image of a board cannot be built; the text says what is missing."""
