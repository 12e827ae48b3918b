"""Partitions: which ones a machine runs, where the files of each lie, whom the broker takes it for, who runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hub.config.settings import Settings
from hub.errors import ConfigError

FOLDER = "partitions"


def partitions_of(settings: Settings) -> tuple[str, ...]:
    """Return the partitions that this machine runs, the first one first; ConfigError for one that is named twice."""
    names = (settings.partition, *settings.more_partitions)
    if len(set(names)) != len(names):
        hint = "more_partitions are those beside partition"
        raise ConfigError("partition_named_twice", f"the partitions are {', '.join(names)}", hint=hint)
    return names


def settings_of(settings: Settings, partition: str) -> Settings:
    """Return the settings of one partition: its own files, and its own users of the broker with the same passwords.

    The first one has what an installation of one partition has, so that more of them can come later. Every other has
    ``data_dir/partitions/NAME`` and the users ``{username_prefix}-NAME-telemetry`` … ConfigError ``partition_unknown``.
    """
    names = partitions_of(settings)
    if partition not in names:
        hint = f"this machine runs {', '.join(names)} (partition and more_partitions)"
        raise ConfigError("partition_unknown", f"there is no partition {partition!r} here", hint=hint)
    alone = {"more_partitions": (), "workers": 1}
    if partition == settings.partition:
        return settings.model_copy(update=alone)
    mqtt = settings.mqtt.model_copy(update={"username_prefix": f"{settings.mqtt.username_prefix}-{partition}"})
    mine = settings.model_copy(update={**alone, "partition": partition, "mqtt": mqtt})
    mine._files_dir = settings.data_dir / FOLDER / partition  # noqa: SLF001 -- set once, by the only maker of these
    return mine


def shares_of(partitions: Sequence[str], workers: int) -> list[tuple[str, ...]]:
    """Return what each worker runs, as equal as can be; ConfigError when there are more workers than partitions."""
    if workers > len(partitions):
        wanted = ", ".join(f'"{partitions[0]}-{number}"' for number in range(2, workers + 1))
        raise ConfigError(
            "partitions_too_few",
            f"{workers} workers need {workers} partitions, and this machine runs {', '.join(partitions)}",
            hint=f"more_partitions = [{wanted}]; what a worker runs are the sites of its partitions",
        )
    return [tuple(partitions[worker::workers]) for worker in range(workers)]


def emptiest(partitions: Sequence[str], sites: Mapping[str, int], devices: Mapping[str, int]) -> str:
    """Return where a new site goes: the fewest ``devices``, then the fewest ``sites``; of equal ones the first."""
    return min(partitions, key=lambda name: (devices.get(name, 0), sites.get(name, 0)))
