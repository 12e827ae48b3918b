"""What a network's directory becomes in the revision: one document of the directory, and the profiles made of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from hub.catalogue import Kind
from hub.normalize.networks.meanings import Unmapped
from hub.normalize.networks.synthesis import VENDOR, KnownDevice, synthesize
from hub.normalize.profile import Profile
from hub.yaml_documents import canonical_json

DIRECTORY = "directory/"
MADE = f"profile/{VENDOR}/"


class DirectoryDocument(msgspec.Struct, frozen=True):
    """What a source's directory was understood as."""

    source: str
    devices: list[KnownDevice]
    unmapped: list[Unmapped]


def directory_documents(source: str, payload: bytes, kinds: Mapping[str, Kind]) -> dict[str, bytes]:
    """Return ``directory/{source}`` and the profiles that its devices have. PoisonErrors are those of synthesize."""
    found = synthesize(payload, kinds)
    documents = {
        f"profile/{name}": canonical_json(Profile.model_validate(words)) for name, words in found.profiles.items()
    }
    document = DirectoryDocument(source, found.devices, found.unmapped)
    return {**documents, DIRECTORY + source: msgspec.json.encode(document, order="deterministic")}


def carried_over(known: Mapping[str, bytes], rows: Iterable[bytes]) -> dict[str, bytes]:
    """Return the directories and made profiles among ``known`` that somebody still needs.

    ``rows`` are the bodies of the sources and devices that are wanted: a directory goes with its source, a made profile
    when neither a directory nor a device names it any more.
    """
    if not known:
        return {}
    words = [msgspec.json.decode(row, type=_Row) for row in rows]
    sources = {row.source for row in words if row.network}
    kept = {key: known[key] for key in known if key.startswith(DIRECTORY) and key.removeprefix(DIRECTORY) in sources}
    directories = [msgspec.json.decode(body, type=DirectoryDocument) for body in kept.values()]
    needed = {device.profile for directory in directories for device in directory.devices}
    needed |= {row.profile for row in words if row.profile.startswith(VENDOR)}
    return kept | {f"profile/{name}": known[f"profile/{name}"] for name in needed if f"profile/{name}" in known}


class _Row(msgspec.Struct):
    source: str = ""
    network: str = ""
    profile: str = ""
