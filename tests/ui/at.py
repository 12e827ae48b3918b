"""The CLI beside a running installation: ask, ask until, be refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.ui.conftest import Cli, Said
from tests.ui.installation import SITE, Installation
from tests.waiting import wait_until


class At:
    """The CLI with the settings of an installation."""

    def __init__(self, cli: Cli, installation: Installation) -> None:
        self.installation = installation
        self._cli = cli

    def __call__(self, *words: str) -> Any:  # noqa: ANN401 -- JSON is anything
        """Return the JSON that a command printed; it must have gone well."""
        said = self.said(*words, "--json")
        assert said.code == 0, said.err + said.out
        return said.document()

    def said(self, *words: str) -> Said:
        """Return what a command came to."""
        return self._cli("--config", str(self.installation.config), *words)

    def refused(self, *words: str) -> str:
        """Return what a command said that a person must mend."""
        said = self.said(*words)
        assert said.code == 2
        return said.err

    def until(self, *words: str, meets: Callable[[Any], object] = bool) -> Any:  # noqa: ANN401 -- JSON is anything
        """Ask until the answer ``meets`` what is wanted; return it."""
        answers: list[Any] = []

        def asked() -> object:
            answers.append(self(*words))
            return meets(answers[-1])

        asyncio.run(wait_until(lambda: asyncio.to_thread(asked)))
        return answers[-1]

    def figure(self, name: str) -> float:
        """Return a metric of this site."""
        lines = self.installation.page("/metrics")[1].decode().splitlines()
        wanted = f'{name}{{site="{SITE}"}} '
        return next(float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))
