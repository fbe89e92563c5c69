"""What may be shown of a URL: its query, fragment and user information can carry secrets."""

from urllib.parse import urlsplit


def redacted(url: str) -> str:
    """`scheme://host[:port]/path` of an absolute URL (RFC 3986 §3), nothing else."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def check_http_url(url: str) -> str:
    """The URL itself, if it is absolute and http or https, and a browser reads it as we do.

    Raises:
        ValueError: with a sentence for the user that does not repeat the URL.
    """
    # urlsplit would drop some of these without a word, and to a browser a backslash is a slash.
    if not url.isprintable() or " " in url or "\\" in url:
        raise ValueError("must not contain blanks, control characters or backslashes; percent-encode them")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError("must be a valid URL such as https://example.com/page") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("must be an absolute http or https URL such as https://example.com/page")
    return url
