"""kubectl and istioctl as a person would type them for one cluster: always its own context, of its own file."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from wizard.text import quoted


class Place(Protocol):
    """Where a cluster is found. `kubeconfig`: None is the one that kubectl would use."""

    @property
    def kubeconfig(self) -> Path | None: ...

    @property
    def context(self) -> str: ...


def kubectl(at: Place) -> str:
    """`kubectl` at this cluster; what it is to do comes after."""
    return f"kubectl {options(at)}"


def istioctl(at: Place, words: str) -> str:
    """`istioctl` doing this at this cluster; more options may come after."""
    return f"istioctl {words} {options(at)}"


def options(at: Place) -> str:
    """What tells either of them the cluster."""
    return f"{file_option(at.kubeconfig)}--context={quoted(at.context)}"


def file_option(kubeconfig: Path | None) -> str:
    """What tells either of them the file, and a space; empty where it is the one that they would use."""
    return f"--kubeconfig={quoted(kubeconfig)} " if kubeconfig else ""
