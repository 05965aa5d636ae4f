"""`python -m logsync_streams.cli`: the same as `logsync`, without needing it on the PATH."""

from logsync_streams.cli import main

if __name__ == "__main__":
    main()
