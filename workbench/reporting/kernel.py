"""The kernel a report runs in: this interpreter and no other, quiet, with nothing of the user's history.

The kernel that ``python3`` names may be another interpreter of the machine, one without the workbench. Here the command
is given, so that a report is made by the code that was asked for it.
"""

from __future__ import annotations

import sys

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

QUIET = ("--IPKernelApp.log_level=40", "--HistoryManager.enabled=False")


class OwnKernel(AsyncKernelManager):
    """Starts ipykernel under the interpreter that builds the report."""

    @property
    def kernel_spec(self) -> KernelSpec:
        """The command that starts the kernel."""
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", *QUIET]
        return KernelSpec(argv=command, display_name="Python 3", language="python")
