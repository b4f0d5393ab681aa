"""`python -m kerasish COMMAND`, and the script `kerasish`: see `kerasish.commands`."""

import sys

from kerasish.commands import main

if __name__ == "__main__":
    sys.exit(main())
