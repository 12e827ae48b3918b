"""Networks from directories of YAML: what ships, overlaid by the installation's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hub.errors import ConfigError
from hub.normalize.networks.network import Network, SourceRow
from hub.normalize.networks.source import compile_source
from hub.yaml_documents import Document, Tree, load_tree, validate

FOLDER = "networks"
"""Where they lie in a directory of device profiles."""


def load_networks(directories: Sequence[Path]) -> Mapping[str, Network]:
    """Return by name the networks in ``networks/`` of each directory; a later one replaces by name.

    Every network is compiled once, with its own params, so that what comes out of here works. Raises ConfigError with
    file, line and a hint.
    """
    folders = [directory / FOLDER for directory in directories if (directory / FOLDER).is_dir()]
    return networks_of(load_tree(folders, ("network",)))


def networks_of(tree: Tree) -> Mapping[str, Network]:
    """Return by name the networks among the documents of ``tree``."""
    return {document.name: _network(document) for (noun, _), document in tree.items() if noun == "network"}


def _network(document: Document) -> Network:
    network = validate(document, Network)
    try:
        compile_source(SourceRow(source=network.network, network=network.network), network)
    except ConfigError as error:
        path = error.fields.get("path", ())
        place = path if isinstance(path, tuple) else ()
        raise document.error(error.code, error.message, path=place, hint=error.hint) from error
    return network
