"""`python -m panoreel.transcoder`."""

from panoreel.transcoder.main import main

if __name__ == "__main__":
    main()
