"""What the engine knows from revisions: only what a revision touches is compiled, bound and placed anew."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from itertools import chain

from hub.engine.barred import Barred
from hub.engine.change import Change, Touched, at_once, each_once, parts
from hub.engine.circumstances import Key
from hub.engine.compiled import Compiled
from hub.engine.concern import Concern
from hub.engine.device import Device
from hub.engine.kind_rules import KindRules
from hub.engine.known import DeviceState, entry_key
from hub.engine.moment import Moment
from hub.engine.places import Place, Subject
from hub.engine.preparing import Prepared, equip, prepare
from hub.engine.registered import Registered
from hub.engine.rows import Bodies, DeviceRow, Document, kept, row_of, site_and_name
from hub.engine.state import State
from hub.errors import ConfigError
from hub.model.records import Revision
from hub.rules.states import CompiledRule


class Content(Registered):
    """Takes revisions, a little at a time: whoever looks between two steps finds what was, or what will be."""

    def __init__(self, compile_rule: Callable[..., CompiledRule] = CompiledRule) -> None:
        super().__init__()
        self._compiled = Compiled.of_nothing(self.circumstances, compile_rule)
        self._at = 0
        self._prepared: Prepared | None = None

    # ----------------------------------------------------------------------------------------------------- revisions

    def revise(
        self, revision: Revision, bodies: Mapping[str, bytes], state: State, moment: Moment
    ) -> Generator[None, None, Change]:
        """Take new documents. Raises ConfigError before anything is changed: the rim checks first, so it is a bug."""
        touched, change, at = Touched(revision.removed), Change(), moment.at
        awake = state.clock.awake(moment.t)
        self._at = at
        for some in parts(sorted(revision.put)):
            touched.take({key: kept(key, bodies[revision.put[key]]) for key in some})
            yield
        at_rest = self.stands.rulebook.at_rest
        if touched.has_new_rules:
            yield from self._compile(touched, change)
        concern = Concern(self, self.stands.rulebook, touched)
        affected = yield from self._learn(touched, state)
        change.has_new_places = bool(affected)
        if touched.has_new_rules or touched.keys("barred"):
            before, self.barred = self.barred, Barred(Bodies(self.documents), self.networks)
            change.names |= self.barred.names - before.names
        now_at_rest = self.stands.rulebook.at_rest
        change.switched_off = sorted(now_at_rest - (frozenset() if touched.has_new_rules else at_rest))
        moved = yield from self._furnish(touched, change, affected, at)
        former = yield from self._revise_devices(touched, change, (state, awake, at))
        if touched.has_new_rules:
            yield from self._equip_others(touched, change, state)
        turned, places, settled = (
            change.others_than(former),
            list[Place](),
            touched.has_new_rules and not touched.holds_otherwise,
        )
        sites = {site for site, _ in (at_rest ^ now_at_rest)}
        done = {device.key for device in chain(change.removed_devices, change.touched)}
        bound = [*moved, *self._bound_by(touched, concern, sites)]
        bound = [device for device in bound if device.key not in done] if done else bound
        for devices in self.stands.others(bound, at, former, settled=settled):
            turned += devices
            yield
        others = self._places_bound_by(touched, concern, affected, sites)
        for found in self.stands.others(others, at, former, settled=settled):
            places += found
            yield
        change.turned = [*turned, *places]
        if touched.has_new_rules:
            book = self.stands.rulebook
            change.concerned += [device for device in turned if book.has_new_waits(device.rules)]
            among: Iterable[Subject] = change.others_than(former) if settled else change.turned
            moved_on = [each for each in among if book.has_turned(former[each.key], each.rules)]
            change.turned = each_once([*moved_on, *self._back(at_rest - now_at_rest)])
        change.turn_peopled(self.stands.places)
        yield
        change.turned.sort(key=_devices_first)
        yield
        change.concerned = each_once(change.concerned)
        change.removed_places = [self.stands.gone[key] for key in sorted(self.stands.gone)]
        self.revisions += 1
        return change

    def _compile(self, touched: Touched, change: Change) -> Generator[None, None, None]:
        """Take what is compiled anew: ConfigError before anything is changed."""
        ready = self._prepared and self._prepared.for_same(self._compiled, touched)
        found = ready or (yield from self._compiled.over(touched, Bodies(touched.over(self.documents))))
        change.has_new_rules, change.has_new_kinds = True, touched.has_new_kinds
        change.removed_rules = sorted(set(self.rules) - set(found.rulebook.rules))
        self.rules = {**{name: self.rules[name] for name in change.removed_rules}, **found.rulebook.rules}
        self._compiled, self.secret, self.quota = found, found.secret, found.quota
        self.has_quotas = not found.quota.is_none or any(each.quota for each in found.profiles.values())
        self.stands.rulebook, self.outfits, self.networks = found.rulebook, found.outfits, found.networks

    def _learn(self, touched: Touched, state: State) -> Generator[None, None, set[Key]]:
        """Take the documents; return the places that are others now, or are around or below such a one."""
        named = {site_and_name(key) for key in touched.keys("place")}
        affected = self.circumstances.in_and_below(named)
        self.circumstances.change({}, touched.removed)
        for key in touched.removed:
            self.documents.pop(key, None)
            state.remove(f"document/{key}")
        for some in parts([*touched.put.items()]):
            self.circumstances.change({key: each for key, each in some if not isinstance(each, DeviceRow)}, ())
            for key, document in some:
                state.put(key, document)
                if isinstance(document, Document):
                    self.documents[key] = document
                else:
                    self.documents.pop(key, None)
            yield
        named |= self.stands.unsettled()
        return affected | self.circumstances.in_and_below(named)

    def _furnish(
        self, touched: Touched, change: Change, affected: set[Key], at: int
    ) -> Generator[None, None, list[Device]]:
        """Let nobody stand any more where something is another thing now, nor those that are others themselves.

        Return the devices that stand there again, in a place that is or is not what it was.
        """
        named = {key.removeprefix("device/"): None for key in touched.keys("device")}  # in their order
        for some in parts([self._devices[key] for key in named if key in self._devices]):
            self.stands.leave(some)
            yield
        sites = sorted({site for site, _ in affected})
        there = [each for site in sites for each in self.devices_of(site) if (site, each.row.place) in affected]
        moved = [device for device in there if device.key not in named]
        for some in parts(moved):
            self.stands.leave(some)
            yield
        yield from self.stands.furnish(affected, at)
        for some in parts(moved):
            before = [device.places for device in some]
            self.stands.enter(some)
            for device, places in zip(some, before, strict=True):
                change.note_left(device, places)
            yield
        return moved

    def _revise_devices(
        self, touched: Touched, change: Change, when: tuple[State, int, int]
    ) -> Generator[None, None, dict[str, KindRules]]:
        """Make the devices that are new or others now; return the rules that the others had, by key."""
        state, awake, at = when
        former: dict[str, KindRules] = {}
        for some in parts(touched.keys("device")):
            replaced, new = list[tuple[Device, Device]](), list[Device]()
            for key in some:
                known = self._devices.get(key.removeprefix("device/"))
                document = touched.put.get(key)
                if document is None:
                    change.removed_devices += [] if known is None else [known]
                    continue
                device = Device(row_of(document), DeviceState(heard_awake=awake) if known is None else known.state)
                equip(device, self._compiled)
                device.rules = self.stands.rules_of(device.row, device.key, at)
                self._devices[device.key] = device
                new.append(device)
                if known is None:
                    state.mark(device.state)
                else:
                    former[device.key], device.is_silent = known.rules, known.is_silent
                    replaced.append((known, device))
                    was, now = ((each.kind, each.building, each.profile) for each in (known, device))
                    if device.state.seldom.stored and was != now:  # of another series nothing is stored yet
                        state.mark(device.state)
                        device.state.own().stored = None
            self._whereabouts.exchange(replaced)
            self._whereabouts.come([device for device in new if device.key not in former])
            self.stands.enter(new)
            change.touched += new
            change.replaced += replaced
            for known, device in replaced:
                is_another = device.kind != known.kind or device.is_another_than(known)
                change.note_left(device, known.places, is_another=is_another)
            change.concerned += [device for device in new if device.key not in former or touched.has_new_rules]
            yield
        return former

    def _equip_others(self, touched: Touched, change: Change, state: State) -> Iterator[None]:
        """Equip the devices again whose kind, network or profile may be another one now.

        A double that is still what its original was, and cannot be that, goes at once.
        """
        names = touched.names("profile")
        if touched.has_new_kinds:
            self._whereabouts.call_anew()
        elif not names:
            return
        done = {device.key for device in change.touched} | {device.key for device in change.removed_devices}
        for some in parts([*self._devices.values()]):
            for device in some:
                if device.key in done or not (touched.has_new_kinds or device.profile in names):
                    continue
                change.concerned.append(device)
                if not self._can_equip(device):
                    key = entry_key(device.key)
                    self.documents.pop(key, None)
                    state.remove(f"document/{key}")
                    self.stands.leave([device])
                    change.removed_devices.append(device)
            yield

    def _bound_by(self, touched: Touched, concern: Concern, sites: set[str]) -> list[Device]:
        """Return the devices whose rules may be others, though they are where they were."""
        found = [device for site in sorted(sites) for device in self.devices_of(site)]
        kinds = self.stands.rulebook.concerned if touched.has_new_rules else ()
        found += [device for device in self._devices.values() if device.row.kind in kinds] if kinds else []
        return found + concern.devices(self._devices)

    def _places_bound_by(self, touched: Touched, concern: Concern, affected: set[Key], sites: set[str]) -> list[Place]:
        """Return the places whose rules may be others."""
        places = self.stands.places
        found = concern.places() + [
            places[key] for key in (f"{site}/@{name}" for site, name in affected) if key in places
        ]
        kinds = {kind for kind in self.stands.rulebook.concerned if kind.startswith("@") and touched.has_new_rules}
        if sites or kinds:
            found += [place for place in places.values() if place.site in sites or f"@{place.row.type}" in kinds]
        return [place for place in {place.key: place for place in found}.values() if place.key not in self.stands.new]

    def _back(self, back: frozenset[tuple[str, str]]) -> list[Subject]:
        """Return the devices and places of which (site, rule) that was off is not any more."""
        sites = sorted({site for site, _ in back})
        there: list[Subject] = [each for site in sites for each in self.devices_of(site)]
        there += [place for place in self.stands.places.values() if place.site in sites] if sites else []
        return [each for each in there if any(each.site == site and rule in each.rules.by_name for site, rule in back)]

    # ---------------------------------------------------------------------------------------------------------- time

    @property
    def changes_at(self) -> int | None:
        """Return the wall time at which rules next come to something else by themselves."""
        return self.stands.changes_at

    def turn(self, at: int, *, is_back: bool = False) -> Generator[None, None, list[Subject]]:
        """Bind rules anew where a fact, an entry of a list or a window begins or ends; return whose rules changed.

        When our clock ``is_back`` that may be anywhere: what has begun or ended lies before us again.
        """
        self._at, due = at, self.stands.due(at)
        due = sorted({*self._devices, *self.stands.places}) if is_back else due
        turned = list[Subject]()
        for devices in self.stands.others([self._devices[key] for key in due if key in self._devices], at):
            turned += devices
            yield
        places = self.stands.places
        for found in self.stands.others([places[key] for key in due if key in places], at):
            turned += found
            yield
        return turned

    def settle(self, change: Change, state: State) -> None:
        """Forget what the change removed, after its states have ended."""
        self._prepared = None
        self.stands.rulebook.is_done()
        self._whereabouts.go(change.removed_devices)
        for device in change.removed_devices:
            self._devices.pop(device.key, None)
            self.stands.forget(device.key)
            state.remove_device(device.state)
            device.let_go()
        for place in change.removed_places:
            self.stands.forget(place.key)
        self.stands.gone.clear()
        for rule in change.removed_rules:
            self.rules.pop(rule, None)

    def restore(self, states: Mapping[str, DeviceState], state: State) -> None:
        """Build everything from the restored documents and device states; of devices that are gone nothing is kept."""
        at = self._at = state.clock.received_at
        for key in sorted(states.keys() - self.documents.keys()):
            state.remove(key)
        found = {key: kept(key, self.documents[key].body) for key in sorted(self.documents)}
        self.documents = {key: each for key, each in found.items() if isinstance(each, Document)}
        touched = Touched(())
        touched.take(found)
        at_once(self._compile(touched, Change()))
        self.circumstances.change(found, ())
        self.barred = Barred(Bodies(self.documents), self.networks)
        self.stands.unsettled()
        at_once(self.stands.furnish(self.circumstances.places, at))
        for key, document in found.items():
            if key.startswith("device/"):
                device = Device(row_of(document), states.get(key) or DeviceState())
                if self._can_equip(device):
                    device.rules = self.stands.rules_of(device.row, device.key, at)
                    self._devices[device.key] = device
        self.stands.enter(self._devices.values())
        self.revisions += 1

    # --------------------------------------------------------------------------------------------------------- devices

    def try_out(self, put: Mapping[str, bytes], removed: Iterable[str] = ()) -> Generator[None, None, None]:
        """Find out, a little at a time, whether documents could be put and removed; ConfigError when not.

        Nothing is changed. What they come to for each device and place is kept for the revision, so that nothing waits
        for it then.
        """
        self._prepared, touched = None, Touched(removed)
        for some in parts(sorted(put)):
            touched.take({key: kept(key, put[key]) for key in some})
            yield
        self._prepared = yield from prepare(self, self._devices, self._compiled, touched, self._at)

    def _can_equip(self, device: Device) -> bool:
        """Return whether it works; not a double of which kind or profile is gone. ConfigError for a registered one."""
        try:
            equip(device, self._compiled)
        except ConfigError:
            if not device.is_double:
                raise
            return False
        return True


def _devices_first(subject: Subject) -> tuple[bool, str]:
    return not isinstance(subject, Device), subject.key
