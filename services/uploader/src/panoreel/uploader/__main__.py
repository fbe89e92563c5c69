"""`python -m panoreel.uploader`."""

from panoreel.uploader.main import main

if __name__ == "__main__":
    main()
