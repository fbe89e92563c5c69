"""`python -m panoreel.local` is the `panoreel` command."""

from .main import app

app(prog_name="panoreel")
