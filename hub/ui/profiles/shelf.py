"""The shelf: every kind and profile of an installation, and everything that is wrong or doubtful in their files."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from hub.authoring.coverage import unsent
from hub.authoring.skeleton import TODO
from hub.catalogue import NUMBERS, Catalogue, Kind
from hub.config.settings import Settings
from hub.engine.guards import compile_guards, with_confirms
from hub.errors import ConfigError
from hub.normalize.compile import compile_profile
from hub.normalize.downlinks import misfits
from hub.normalize.examples import expectations, unreadable
from hub.normalize.load import NOUNS, read_profile, whole
from hub.normalize.networks.network import Network, SourceRow
from hub.normalize.networks.source import compile_source
from hub.normalize.places import LAST
from hub.normalize.profile import Profile
from hub.normalize.sources import ByteSource, Time, each_of
from hub.revisions.files import RULE_NOUNS, profile_layers, rule_layers
from hub.rules.lints import unsaid
from hub.rules.names import kinds_of, suggestion
from hub.rules.problem import Weight
from hub.rules.rule import Rule
from hub.ui.findings import Finding, finding_of
from hub.ui.rules.world import world_of
from hub.yaml_documents import Document, load_documents, load_tree, mistakes, validate

_TODO = re.compile(rf"#\s*{TODO}\b:?\s*(?P<what>.*)")


class Shelf:
    """What could be read of the layers, each a directory or a file; a later one replaces by name.

    Unlike the hub, which refuses the first mistake, it goes on: ``findings`` are all of them.
    """

    def __init__(self, layers: Sequence[Path]) -> None:
        self.findings: list[Finding] = []
        self._searched: set[str] = set()
        self.documents: dict[tuple[str, str], Document] = {}
        self.networks: dict[str, Network] = {}
        for layer in layers:
            self.documents |= self._layer(layer)
        self.catalogue = self._catalogue()
        self.profiles: dict[str, Profile] = {}
        fragments = {name: document for (noun, name), document in self.documents.items() if noun == "fragment"}
        for (noun, name), document in self.documents.items():
            if noun == "profile":
                self._add(name, document, fragments)

    def profile(self, name: str) -> Profile:
        """Return a profile; ConfigError for one that is unknown or cannot work."""
        if name not in self.profiles:
            raise self._missing("profile", name, [*self.profiles, *self.networks])
        return self.profiles[name]

    def network(self, name: str) -> Network:
        """Return a network; ConfigError for one that is unknown or cannot work."""
        if name not in self.networks:
            raise self._missing("network", name, self.networks)
        return self.networks[name]

    def _missing(self, noun: str, name: str, known: Iterable[str]) -> ConfigError:
        for finding in self.findings:
            if finding.name == name and finding.weight is Weight.ERROR:
                return ConfigError(
                    finding.code, finding.message, file=finding.file, line=finding.line, hint=finding.hint
                )
        close = difflib.get_close_matches(name, list(known), n=1)
        hint = f"did you mean {close[0]}?" if close else "`hub profiles list`"
        return ConfigError(f"unknown_{noun}", f"there is no {noun} {name!r}", hint=hint)

    def kind(self, profile: Profile) -> Kind:
        """Return the kind of a profile."""
        return self.catalogue.kind(profile.kind)

    def _layer(self, layer: Path) -> dict[tuple[str, str], Document]:
        if not layer.exists():
            raise ConfigError("missing_directory", "there is no such file or directory", file=str(layer))
        found: dict[tuple[str, str], Document] = {}
        for path in [layer] if layer.is_file() else sorted(layer.rglob("*.yaml")):
            try:
                documents = load_documents(path)
            except ConfigError as error:  # nobody can read what it is called: by its place it is vendor/model
                is_plain = path.parent.name.removesuffix("s") in NOUNS  # networks/raw.yaml
                self._tell(path.stem if is_plain else f"{path.parent.name}/{path.stem}", error)
                continue
            for document in documents:
                self._place(found, document)
        return found

    def _place(self, found: dict[tuple[str, str], Document], document: Document) -> None:
        if document.noun == "network":
            self._add_network(document)
        if document.noun not in NOUNS:
            hint = suggestion(document.noun, NOUNS)
            error = document.error(
                "unknown_document", f"unknown noun {document.noun!r}", path=[document.noun], hint=hint
            )
            self._tell(document.name, error)
            return
        first = found.setdefault((document.noun, document.name), document)
        if first is not document:
            hint = f"the other one is in {first.file}:{first.lines[()]}"
            self._tell(document.name, document.error("duplicate_document", "it exists already", hint=hint))

    def _add_network(self, document: Document) -> None:
        wrong = mistakes(document, Network)
        for mistake in wrong:
            self._tell(document.name, mistake)
        if wrong:
            return
        network = validate(document, Network)
        try:
            compile_source(SourceRow("any", document.name), network)
        except ConfigError as error:
            self._tell(document.name, _located(document, error))
            return
        self.networks[document.name] = network

    def _catalogue(self) -> Catalogue:
        kinds: list[Kind] = []
        for (noun, name), document in self.documents.items():
            if noun != "kind":
                continue
            wrong = mistakes(document, Kind)
            for error in wrong:
                self._tell(name, error)
            if not wrong:
                kinds.append(validate(document, Kind))
        while True:
            try:
                return Catalogue(kinds)
            except ConfigError as error:
                name = str(error.fields["kind"])
                path = error.fields["path"]
                where = path if isinstance(path, tuple) else ()
                self._tell(
                    name, self.documents["kind", name].error(error.code, error.message, path=where, hint=error.hint)
                )
                kinds = [kind for kind in kinds if kind.kind != name]

    def _add(self, name: str, document: Document, fragments: dict[str, Document]) -> None:
        try:
            document = whole(document, fragments)
            wrong = mistakes(document, Profile)
            for error in wrong:
                self._tell(name, error)
            if not wrong:
                profile = read_profile(document, self.catalogue)
                _check_examples(document, profile)
                self.profiles[name] = profile
                _check_confirms(document, profile, self.kind(profile))
                self.findings += _doubts(self.profiles[name], document, self.kind(self.profiles[name]))
        except ConfigError as error:
            self._tell(name, error)
        if document.file not in self._searched:
            self._searched.add(document.file)
            self.findings += _undecided(name, Path(document.file))

    def _tell(self, name: str, error: ConfigError) -> None:
        self.findings.append(finding_of("profile", name, Weight.ERROR, error))


def shelf_of(settings: Settings, *more: Path) -> Shelf:
    """Return what ships, what the installation has of its own, and ``more`` over them."""
    return Shelf([*profile_layers(settings.profiles_dir), *more])


def unsaid_of(shelf: Shelf) -> Iterator[Finding]:
    """Yield the commands that a rule that ships would send in vain: what they want, nobody says."""
    world = world_of(shelf.profiles.values(), {})
    found: dict[tuple[str, str, str], str] = {}
    for document in load_tree(rule_layers(None), RULE_NOUNS).values():
        if document.noun == "rule":
            rule = validate(document, Rule)
            for _, profile, command, argument in unsaid(rule, kinds_of(rule, shelf.catalogue), shelf.catalogue, world):
                found.setdefault((profile, command, argument), rule.rule)
    for (profile, command, argument), rule_name in found.items():
        message = f"{command} does not leave without {argument}, and {rule_name} does not say it"
        hint = f"params: {{{argument}: …}}, which a device may have otherwise; or a parameter of its own in its place"
        error = shelf.documents["profile", profile].error(
            "unsaid_argument", message, path=("commands", command), hint=hint
        )
        yield finding_of("profile", profile, Weight.WARNING, error)


def _located(document: Document, error: ConfigError) -> ConfigError:
    path = error.fields.get("path", ())
    return document.error(error.code, error.message, path=path if isinstance(path, tuple) else (), hint=error.hint)


def _check_examples(document: Document, profile: Profile) -> None:
    """Refuse, with its line, an example of which nobody could say whether it holds."""
    told = [("examples", at, each.payload, expectations(each)) for at, each in enumerate(profile.examples)]
    told += [("sends", at, each.payload, ()) for at, each in enumerate(profile.sends)]
    for noun, at, payload, expected in told:
        for wrong in unreadable(payload, [each.expect_time for each in expected]):
            raise document.error("bad_example", wrong, path=(noun, at))


def _check_confirms(document: Document, profile: Profile, kind: Kind) -> None:
    """Refuse, with its line, what a profile asks to see a command done and could never be asked."""
    try:
        with_confirms(compile_guards(kind), kind, profile.commands)
    except ConfigError as error:
        raise _located(document, error) from error


def _undecided(name: str, file: Path) -> Iterator[Finding]:
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        found = _TODO.search(line)
        if found is not None:
            before = line[: found.start()].strip()
            message = f"{before.partition(':')[0].lstrip('- ')}: {found['what']}" if before else found["what"]
            yield Finding(
                file=str(file), line=number, noun="profile", name=name, weight=Weight.WARNING, code="undecided",
                message=message,
            )  # fmt: skip


def _doubts(profile: Profile, document: Document, kind: Kind) -> Iterator[Finding]:
    """Yield what the hub takes and a reader should not."""
    told: list[tuple[Sequence[str | int], str, str, str]] = [
        (("label",), "no_label", f"no label in {language}", "")
        for language in ("en", "zh")
        if not profile.label.get(language)
    ]
    if not profile.examples:
        told.append((("profile",), "no_example", "it has no example", "examples are its tests; add what a device sent"))
    elif all(example.expect_error is None for example in profile.examples):
        told.append(
            (("examples",), "no_refusal", "no example of a payload that is refused", "add one with expect_error")
        )
    told += [
        (_where(document, name), "untested", f"{name} is in no example", "add an example that has it")
        for name in _untold(profile)
    ]
    uses = getattr(compile_profile(profile, kind, {}, "UTC"), "uses", {})  # a native one has none
    if not profile.payload.has_records:
        told += [(path, "never", "#last is of records, and it has none", "leave it out") for path in uses.get(LAST, ())]
    if profile.reply is not None and all(example.expect_reply is None for example in profile.examples):
        told.append((("reply",), "untested", "no example is an answer", "add one with expect_reply: {id, ok, code}"))
    told += [
        (place, "vain_zone", "it counts from 1970 in UTC, and its zone is not asked", "leave zone out")
        for place in _vain_zones(profile)
    ]
    told += [
        (("commands", name), "untested", f"{name} is sent in no example", "add one to sends, with its bytes")
        for name in unsent(profile)
    ]
    told += [
        (("commands", name), "never_fits", why, hint)
        for name, words in profile.commands.items()
        for why, hint in misfits(words, kind.commands[name].args, profile.params)
    ]
    told += [
        (("commands", name), "never_seen", f"nothing says that {name} is done: it is tried again in vain", why)
        for name, why in _unseen(profile, kind)
    ]
    told += [
        (("profile",), "unsaid", f"it does not say how it is told to {name}", "commands says how, cannot says why not")
        for name in kind.commands
        if name not in profile.commands and name not in profile.cannot
    ]
    told += [
        (_where(document, name), "no_unit", f"{name} does not say its unit", "unit: as the device counts")
        for name in _silent(profile, kind)
    ]
    for path, code, message, hint in told:
        error = document.error(code, message, path=path, hint=hint)
        yield finding_of("profile", profile.profile, Weight.WARNING, error)


def _untold(profile: Profile) -> list[str]:
    readings = [reading for example in profile.examples for reading in expectations(example)]
    seen = {name for reading in readings for name in reading.expect}
    seen |= {signal.name for reading in readings for signal in reading.expect_signals}
    promised = dict.fromkeys(name for shape in profile.shapes for name in (*shape.names, *shape.signals))
    return [name for name in promised if name not in seen]


def _unseen(profile: Profile, kind: Kind) -> Iterator[tuple[str, str]]:
    """Yield the commands that are done when something shows it that is never read, of devices that do not answer."""
    guards = {} if profile.reply is not None else with_confirms(compile_guards(kind), kind, profile.commands)
    promised = {name for shape in profile.shapes for name in shape.names}
    for name in profile.commands:
        seen = guards[name].confirm if name in guards else None
        if seen is not None and promised and promised.isdisjoint(seen.names):
            yield name, f"read {' or '.join(sorted(seen.names))}; confirm: what it does say, or false"


def _silent(profile: Profile, kind: Kind) -> list[str]:
    """Return the numbers in bytes whose unit is not written: nobody can tell V from mV by looking."""
    sources = [
        (name, source)
        for shape in profile.shapes
        for name, found in shape.properties.items()
        for source in each_of(found)
        if isinstance(source, ByteSource)
    ]
    fields = [pair for shape in profile.shapes for channel in shape.channels.values() for pair in channel.items()]
    silent = [name for name, source in (*sources, *fields) if source.unit is None]
    return list(dict.fromkeys(name for name in silent if kind.properties[name].type in NUMBERS))


def _vain_zones(profile: Profile) -> Iterator[Sequence[str | int]]:
    """Yield the counts of seconds to which somebody has written a zone, as if they were of local time."""
    clocks: list[tuple[tuple[str | int, ...], Time | None]] = [((), profile.time)]
    clocks += [(("messages", number), shape.time) for number, shape in enumerate(profile.messages)]
    for place, time in clocks:
        for at, source in enumerate(() if time is None else time.sources):
            if source.format in {"unix", "unix_ms"} and "zone" in source.model_fields_set:
                yield (*place, "time", "from", at, "zone")


def _where(document: Document, name: str) -> Sequence[str | int]:
    """Return the first place of a document that is called ``name``."""
    places: Iterable[Sequence[str | int]] = document.lines
    return next((place for place in places if place and place[-1] == name), ())
