"""`python -m genrec` is the command `genrec`."""

import sys

from genrec.cli.main import main

sys.exit(main())
