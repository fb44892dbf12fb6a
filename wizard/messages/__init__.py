"""What people read: codes with values, put into words of their language by the front ends.

Everything below a front end makes messages (`msg`, `counted`, `joined`) and never asks for a language. Front ends show them by
`wizard.messages.catalogue`.
"""

from state.message import Message, counted, joined, msg

__all__ = ["Message", "counted", "joined", "msg", "with_remedy"]


def with_remedy(what: str, remedy: str) -> str:
    """What is wrong and what to do about it, as one text."""
    if not remedy:
        return what
    return joined((what, remedy), " " if what.endswith((".", "!", "?", ":", "…")) else ". ")
