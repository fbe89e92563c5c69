"""`python -m panoreel.recorder`."""

from panoreel.recorder.main import main

if __name__ == "__main__":
    main()
