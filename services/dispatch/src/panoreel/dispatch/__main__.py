"""`python -m panoreel.dispatch`."""

from panoreel.dispatch.main import main

if __name__ == "__main__":
    main()
