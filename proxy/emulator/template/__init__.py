"""A CloudFormation template as the emulator's settings: what it describes is served, so that one file is for both.

It reads what is needed to serve tokens and gateways and nothing else, asks nobody, and changes nothing. What it does
not understand is a problem with its place in the template, never a guess.
"""

from __future__ import annotations

from proxy.emulator.template.functions import long_form
from proxy.emulator.template.reading import describe

__all__ = ["describe", "long_form"]
