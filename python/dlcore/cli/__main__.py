"""``python -m dlcore.cli``."""

import sys

from . import main

sys.exit(main())
