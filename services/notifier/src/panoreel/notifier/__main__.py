"""`python -m panoreel.notifier`."""

from panoreel.notifier.main import main

if __name__ == "__main__":
    main()
