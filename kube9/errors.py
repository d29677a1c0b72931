"""The errors of kube9, each with one of gRPC's status codes.

    Kube9Error
    ├── InvalidArgument      INVALID_ARGUMENT      the caller asked for something that cannot be
    │   └── SpecError        INVALID_ARGUMENT      queries.yaml or rules.yaml is wrong; carries every problem at once
    ├── NotFound             NOT_FOUND             nothing has this id
    ├── FailedPrecondition   FAILED_PRECONDITION   right question, wrong state: schema too old or new, file held
    ├── PermissionDenied     PERMISSION_DENIED     the operating system or the API server refuses
    ├── DeadlineExceeded     DEADLINE_EXCEEDED     the time limit passed
    ├── Unavailable          UNAVAILABLE           not there now: no database, disk, or API server
    ├── DataLoss             DATA_LOSS             the file is damaged, or no database at all
    └── Internal             INTERNAL              a mistake of kube9's own

Codes: https://grpc.io/docs/guides/status-codes/. Exit codes are known to `kube9.cli` alone.
"""


class Kube9Error(Exception):
    """Base of all errors that kube9 raises on purpose.

    Args:
        message: what is wrong, in one line, for people.
        details: where it is wrong and what to do about it.
        fields: further keys of the JSON form of the error, such as `event_id`.
    """

    code = "UNKNOWN"

    def __init__(self, message: str, details: str = "", **fields: str) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.fields = fields

    def __str__(self) -> str:
        return f"{self.message}: {self.details}" if self.details else self.message


class InvalidArgument(Kube9Error):
    """The caller asked for something that cannot be."""

    code = "INVALID_ARGUMENT"


class SpecError(InvalidArgument):
    """A declared file is wrong. `problems` holds one `file:line:col: …` string for each mistake."""

    def __init__(self, problems: list[str]) -> None:
        count = len(problems)
        super().__init__(f"{count} problem{'s' * (count != 1)} in a declared file", "\n".join(problems))
        self.problems = problems


class NotFound(Kube9Error):
    """Nothing has this id."""

    code = "NOT_FOUND"


class FailedPrecondition(Kube9Error):
    """The question is right and the state is not: a schema too old or too new, a file held by another."""

    code = "FAILED_PRECONDITION"


class PermissionDenied(Kube9Error):
    """The operating system or the API server refuses."""

    code = "PERMISSION_DENIED"


class DeadlineExceeded(Kube9Error):
    """The time limit of the call passed."""

    code = "DEADLINE_EXCEEDED"


class Unavailable(Kube9Error):
    """What is needed is not there now; trying again may help."""

    code = "UNAVAILABLE"


class DataLoss(Kube9Error):
    """The database is damaged, or is no database."""

    code = "DATA_LOSS"


class Internal(Kube9Error):
    """A mistake of kube9's own."""

    code = "INTERNAL"
