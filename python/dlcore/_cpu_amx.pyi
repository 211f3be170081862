"""The functions of every device module: see _cpu_generic."""

from ._cpu_generic import *  # noqa: F403 - in a stub this exports every name
