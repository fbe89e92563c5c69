"""What can go wrong while measuring. Each message is a sentence for the person at the terminal."""


class BenchError(Exception):
    """A benchmark cannot go on."""


class ProgramMissing(BenchError):
    """A program that a way of recording consists of is not installed."""

    def __init__(self, way: str, program: str, packages: str) -> None:
        super().__init__(
            f"{way} needs {program}, which is not installed; "
            f"run `apt-get install --no-install-recommends {packages}`, or leave {way} out of --against"
        )


class RecordingFailed(BenchError):
    """What was to be measured ended, or recorded nothing."""
