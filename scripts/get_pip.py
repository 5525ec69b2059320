"""Install pip and what else ansible-test asks for: pip from ensurepip, and with it the rest as pip is set up to."""

from __future__ import annotations

import ensurepip
import os
import subprocess
import sys

environment = dict(os.environ)  # ensurepip takes pip's settings out of it
ensurepip.bootstrap()
packages = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
subprocess.check_call([sys.executable, "-m", "pip", "install", *packages], env=environment)
