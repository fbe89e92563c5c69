"""What may be shown of a URL: its query, fragment and user information can carry secrets."""

from urllib.parse import urlsplit


def redacted(url: str) -> str:
    """`scheme://host[:port]/path` of an absolute URL (RFC 3986 §3), nothing else."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def check_http_url(url: str) -> str:
    """The URL itself, if it is absolute and http or https.

    Raises:
        ValueError: with a sentence for the user that does not repeat the URL.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError("must be a valid URL such as https://example.com/page") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("must be an absolute http or https URL such as https://example.com/page")
    if any(character.isspace() or ord(character) < 0x20 for character in url):
        raise ValueError("must not contain blanks or control characters; percent-encode them")
    return url
