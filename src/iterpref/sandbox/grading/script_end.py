"""How a script ended, as a shell would see it: its exit code, and what Python writes to standard error."""

from ..inside.worker.wire import RawRun
from .claims import ClaimedError, Tampered, read_claims


def script_end(raw: RawRun, nonce: str) -> tuple[int, str]:
    """Exit code, or minus the signal; and a traceback without paths of the machine, or ""."""
    try:
        claims = read_claims(raw, nonce)
    except Tampered:
        return raw.status or 1, "The program wrote to a descriptor that isn't its own.\n"
    error = claims.import_error
    if error is None or raw.limit:
        return -claims.signal or raw.status, ""
    if error.type == "SystemExit":
        return _exit(error)
    lines = "\n".join(("Traceback (most recent call last):", *error.frames, error.message))
    return 1, f"{lines}\n"


def _exit(error: ClaimedError) -> tuple[int, str]:
    """What `sys.exit(value)` means: a number is the code, None is 0, and any other value is written."""
    value = error.message.removeprefix("SystemExit").removeprefix(": ")
    if value in ("", "None", "False"):
        return 0, ""
    if value.lstrip("-").isdigit():
        return int(value) & 0xFF, ""
    return 1, f"{value}\n"
