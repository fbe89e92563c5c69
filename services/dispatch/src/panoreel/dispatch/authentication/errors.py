"""What can go wrong with authentication."""


class Unauthorized(Exception):
    """The request is not by a key that may make it; the answer is `status` with `message`.

    `string_to_sign` is what the server would have signed, where the signature is what differs.
    """

    def __init__(self, status: int, message: str, string_to_sign: bytes | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.string_to_sign = string_to_sign


class KeyFileError(Exception):
    """The key file cannot be used; the message names the entry and the field, and holds no secret."""
