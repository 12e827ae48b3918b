"""What is doubtful about a rule that would work: it never ends, nobody hears of it, it asks what cannot be; pure."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from hub.catalogue import Catalogue, Kind, Property
from hub.durations import write_duration
from hub.model.values import SEVERITY_RANKS, Severity
from hub.rules.clauses import Clear
from hub.rules.expression import Name, ValueType
from hub.rules.names import Scope, names_of_witnesses, suggestion
from hub.rules.problem import Path, Problem, doubt, note
from hub.rules.rule import Priority, Rule
from hub.rules.sense import OUT_OF_RANGE, Fact, answers, fact_of, is_true_at_rest, oddities

LANGUAGES = ("en", "zh")
NATIVE = "only devices that speak the native payload do"
_FACTS = 4
"""Of how many facts each combination is tried."""


class World(NamedTuple):
    """What is installed: the other ``rules``, and what profiles of each kind say and can write.

    Kinds without a profile are left out there. ``wanted``: by kind and command what each profile fills it with and
    has no parameter for.
    """

    rules: Mapping[str, Rule] = {}
    said: Mapping[str, frozenset[str]] = {}
    written: Mapping[str, frozenset[str]] = {}
    wanted: Mapping[tuple[str, str], Mapping[str, frozenset[str]]] = {}


class Unsaid(NamedTuple):
    """A command of a rule that one profile cannot write: it wants an argument that the rule does not say."""

    path: Path
    profile: str
    command: str
    argument: str


def doubts(rule: Rule, world: World) -> Iterator[Problem]:
    """Yield what is doubtful whatever its expressions say."""
    yield from _shown(rule)
    yield from _ends(rule)
    yield from _climbs(rule)
    yield from _escalates(rule)
    yield from _inhibits(rule, world)
    yield from _unused(rule)


def senses(rule: Rule, scope: Scope, catalogue: Catalogue, world: World) -> Iterator[Problem]:
    """Yield what is doubtful about expressions that can be read, and what is good to know of what they ask for."""
    yield from _missing(rule, scope)
    for path, variants in _expressions(rule, scope, catalogue).items():
        yield from _senses(path, variants, rule)
    yield from _unheard(rule, scope, world)
    yield from _unwritten(rule, scope, world)
    for path, profile, command, argument in unsaid(rule, scope.kinds, catalogue, world):
        message = f"{profile} cannot {command} without {argument}, and nobody says it"
        yield doubt("unsaid_argument", message, path, f"args: {{{argument}: …}}, or params of the profile")


def beyond(rule: Rule, scope: Scope, catalogue: Catalogue) -> Iterator[str]:
    """Yield what ``rule``, as it is for somebody, compares with what can never be said: 85 is no confidence."""
    for variants in _expressions(rule, scope, catalogue).values():
        found = oddities(variants[0].text, variants[0].facts)
        yield from (message for code, message in found if code == OUT_OF_RANGE)


# ------------------------------------------------------------------------------------------------- told, ended, climbed


def _shown(rule: Rule) -> Iterator[Problem]:
    for language in LANGUAGES:
        if not rule.label.get(language):
            yield doubt("no_label", f"no label in {language}", ("label",), "label: {en: Smoke alarm, zh: 烟雾报警}")
    if not rule.tests:
        yield doubt("no_tests", "nothing shows what it does", (), "add tests: given, expect")


def _ends(rule: Rule) -> Iterator[Problem]:
    if rule.when is not None and rule.clear is None:
        message = "it clears the moment its condition is no longer true"
        yield doubt("no_clear", message, ("when",), "say so: clear: {when: …, for: 10s}")
    for index, action in enumerate(rule.do):
        is_endless = action.until is not None and action.at_most is None
        if is_endless and action.priority is not Priority.LIFE_SAFETY:
            message = f"{action.command} is held as long as the alarm lasts"
            yield doubt("no_at_most", message, ("do", index, "until"), "bound it: at_most: 10m")


def _climbs(rule: Rule) -> Iterator[Problem]:
    base = rule.raise_.severity
    for index, step in enumerate(rule.ladder):
        path: Path = ("ladder", index, "severity")
        if SEVERITY_RANKS[step.severity] >= SEVERITY_RANKS[base]:
            message = f"it is {base.value} anyway: the worst that holds counts"
            yield doubt("unreachable_severity", message, path, "a step is worse than raise.severity")
            continue
        for other in rule.ladder:
            is_before = other is not step and other.when is None and other.after <= step.after
            if is_before and SEVERITY_RANKS[other.severity] <= SEVERITY_RANKS[step.severity]:
                message = f"it is {other.severity.value} by then, after {write_duration(other.after)}"
                yield doubt("unreachable_severity", message, path, "a later step is a worse one")
                break
    worst = min([base, *(step.severity for step in rule.ladder)], key=SEVERITY_RANKS.__getitem__)
    if rule.is_alarm and worst is Severity.CRITICAL and not (rule.remind or rule.ladder or rule.escalate):
        message = "it is critical and told once: if nobody sees it, nobody is told again"
        hint = "remind: {every: 5m}, a ladder up to critical, or escalate: [{after: 1m, to: property_lead}]"
        yield doubt("nobody_notified", message, ("raise",), hint)


def _escalates(rule: Rule) -> Iterator[Problem]:
    """Yield steps that tell nobody else, but the same people again."""
    for index, step in enumerate(rule.escalate):
        before = next((each for each in rule.escalate[:index] if (each.to, each.until) == (step.to, step.until)), None)
        if before is not None:
            message = f"{step.to} was told {write_duration(before.after)} after the raise already"
            yield doubt("told_already", message, ("escalate", index, "to"), "remind tells the same people again")


def _missing(rule: Rule, scope: Scope) -> Iterator[Problem]:
    """Yield what a rule about sensors that sleep leaves open: most of the time they say nothing."""
    is_asleep = any("battery" in kind.properties and "power_source" not in kind.properties for kind in scope.kinds)
    if rule.when is None or rule.for_each.place is not None or not is_asleep:
        return
    if "on_missing" not in rule.model_fields_set:
        message = "devices on batteries fall silent: what is an unknown condition taken for?"
        yield doubt("no_on_missing", message, ("when",), "on_missing: keep, clear or raise")
    tree = ast.parse(rule.when.strip(), mode="eval")
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    limits = [scope.names[name].stale_after for name in sorted(used & scope.names.keys())]
    least = min((limit for limit in limits if limit is not None), default=None)
    if least is not None and rule.for_ > timedelta(microseconds=least // 1_000):
        span = write_duration(timedelta(microseconds=least // 1_000))
        message = f"its values are unknown after {span}: it lasts longer than anything is known"
        yield doubt("outlives_values", message, ("for",), f"for: at most {span}")


def _inhibits(rule: Rule, world: World) -> Iterator[Problem]:
    if rule.inhibit is None or not world.rules:
        return
    for index, name in enumerate(rule.inhibit.by):
        path: Path = ("inhibit", "by", index)
        if name not in world.rules:
            yield doubt("unknown_rule", f"there is no rule {name!r}", path, suggestion(name, world.rules))
        elif rule.rule in _inhibitors(name, world):
            message = f"{name} is itself held back by {rule.rule}: neither may ever be raised"
            yield doubt("inhibit_cycle", message, path, "only the cause inhibits what follows from it")


def _inhibitors(name: str, world: World) -> set[str]:
    """Return every rule that holds ``name`` back, directly or by others."""
    found: set[str] = set()
    wanted = [name]
    while wanted:
        rule = world.rules.get(wanted.pop())
        new = [] if rule is None or rule.inhibit is None else [each for each in rule.inhibit.by if each not in found]
        found.update(new)
        wanted += new
    return found


# ---------------------------------------------------------------------------------------------------------- expressions


class _Known(NamedTuple):
    """An expression as it is for some facts, and what is known of the names that it may use."""

    text: str
    names: Mapping[str, Name]
    facts: Mapping[str, Fact]


def _expressions(rule: Rule, scope: Scope, catalogue: Catalogue) -> dict[Path, list[_Known]]:
    """Return the expressions of a rule by where they stand, whatever its facts and the truths among its params are."""
    found: dict[Path, list[_Known]] = {}
    for settled in _variants(rule):
        here = _facts(settled, scope)
        data = [kind.signals[settled.on_signal].data for kind in scope.kinds] if settled.on_signal is not None else []
        carried = {name: fact_of(known, [each[name] for each in data]) for name, known in scope.said.items()}
        said = carried if settled.on_value is None else here
        for path, text in _texts(settled):
            is_said = settled.is_momentary and path in {("unless",), ("where",)}
            known = _Known(text, scope.said, said) if is_said else _Known(text, scope.names, here)
            found.setdefault(path, []).append(known)
        for name, each in settled.inputs.items():
            of = [catalogue.kinds[kind] for kind in each.of] or list(scope.kinds)
            names = names_of_witnesses(of)
            theirs = {word: fact_of(names[word], _of_kinds(word, of)) for word in names}
            for word, text_of in (("where", each.where), ("unless", each.unless)):
                if text_of is not None:
                    found.setdefault(("inputs", name, word), []).append(_Known(text_of, names, theirs))
    return found


def _texts(rule: Rule) -> Iterator[tuple[Path, str]]:
    clear = Clear() if rule.clear is None else rule.clear
    texts: list[tuple[Path, str | None]] = [
        (("when",), rule.when), (("unless",), rule.unless), (("where",), rule.where), (("clear", "when"), clear.when),
        (("clear", "refuse_while"), clear.refuse_while),
        *((("ladder", index, "when"), step.when) for index, step in enumerate(rule.ladder)),
    ]  # fmt: skip
    yield from ((path, text) for path, text in texts if text is not None)


def _variants(rule: Rule) -> Iterator[Rule]:
    truths = [name for name, value in {**rule.params, **rule.facts}.items() if isinstance(value, bool)][:_FACTS]
    for values in itertools.product((False, True), repeat=len(truths)):
        yield rule.settled(dict(zip(truths, values, strict=True)))


def _facts(rule: Rule, scope: Scope) -> dict[str, Fact]:
    by_name = {kind.kind: kind for kind in scope.kinds}
    found: dict[str, Fact] = {}
    for name, known in scope.names.items():
        if name in rule.inputs:
            continue
        pairs = scope.sources.get(name)
        mine = (
            _of_kinds(name, scope.kinds) if pairs is None else [by_name[kind].properties[word] for kind, word in pairs]
        )
        found[name] = fact_of(known, mine)
    for name, each in rule.inputs.items():
        take, of_what = each.taken
        measured = found.get(of_what) if take in {"sum", "avg", "min", "max", "increase"} else None
        unit = measured.unit if measured is not None else None
        counted = (0.0, float("inf")) if take in {"count", "distinct", "changes"} else None
        found[name] = Fact(ValueType.BOOL if each.is_truth else ValueType.NUMBER, unit, counted)
    return found


def _of_kinds(name: str, kinds: Sequence[Kind]) -> list[Property]:
    return [kind.properties[name] for kind in kinds if name in kind.properties]


def _senses(path: Path, variants: Sequence[_Known], rule: Rule) -> Iterator[Problem]:
    for code, message in oddities(variants[0].text, variants[0].facts):
        yield doubt(code, message, path)
    found = [answers(each.text, each.names, each.facts) for each in variants]
    answered = {answer for each in found if each is not None for answer in each}
    is_exception = path[-1] in {"unless", "refuse_while"}  # battery >= 0 there says: as long as it is known
    if None not in found and len(answered) == 1 and not (is_exception and True in answered):
        code = "always_true" if True in answered else "always_false"
        yield doubt(code, f"it is {code.replace('_', ' ')}, whatever is said", path, "leave it out, or mend it")
    elif path == ("when",) and rule.unless is None and all(is_true_at_rest(*each) for each in variants):
        yield doubt("true_at_rest", "it is true while everything is normal", path, "say what is not normal")


def _unused(rule: Rule) -> Iterator[Problem]:
    said = " ".join(text for _, text in _texts(rule))
    for name in rule.inputs:
        if not re.search(rf"\b{name}\b", said):
            yield doubt("unused_input", "nothing asks for it", ("inputs", name), f"when: {name} …, or leave it out")


# ------------------------------------------------------------------------------------------------ what is installed


def _unheard(rule: Rule, scope: Scope, world: World) -> Iterator[Problem]:
    """Note what no installed profile of the kinds ever says."""
    asked: list[tuple[Path, str]] = [] if rule.on_signal is None else [(("on_signal",), rule.on_signal)]
    if rule.for_each.place is None:
        for path, text in _texts(rule):
            if rule.is_momentary and path in {("unless",), ("where",)}:
                continue  # about what is said with the moment
            names = {node.id for node in ast.walk(ast.parse(text.strip())) if isinstance(node, ast.Name)}
            asked += [(path, name) for name in sorted(names & scope.names.keys() - rule.inputs.keys())]
    for path, name in asked:
        kinds = [kind for kind in scope.kinds if name in kind.properties or name in kind.signals]
        known = [world.said[kind.kind] for kind in kinds if kind.kind in world.said]
        if len(known) == len(kinds) and not any(name in said for said in known):
            message = f"no profile of {' or '.join(kind.kind for kind in kinds)} says {name}"
            yield note("never_said", message, path, NATIVE)


def _unwritten(rule: Rule, scope: Scope, world: World) -> Iterator[Problem]:
    """Note the commands that no installed profile of the kinds that they go to can write."""
    for word, actions in (("do", rule.do), ("while_pending", rule.while_pending)):
        for index, action in enumerate(actions):
            takers = [kind.kind for kind in scope.kinds if action.command in kind.commands]
            kinds = takers if action.to is None else [action.to.kind]
            if kinds and all(kind in world.written and action.command not in world.written[kind] for kind in kinds):
                message = f"no profile of {' or '.join(kinds)} can write {action.command}"
                yield note("cannot_be_written", message, (word, index, "command"), NATIVE)


def unsaid(rule: Rule, concerned: Sequence[Kind], catalogue: Catalogue, world: World) -> Iterator[Unsaid]:
    """Yield the commands that would not leave for a profile; a hold has its time, whatever else nobody says."""
    for word, actions in (("do", rule.do), ("while_pending", rule.while_pending)):
        for index, action in enumerate(actions):
            for kind in concerned if action.to is None else [catalogue.kinds[action.to.kind]]:
                command = kind.commands.get(action.command)
                said = {*action.args, *(("ttl",) if command is not None and command.is_hold else ())}
                known = set() if command is None else command.args.keys() - said
                for profile, wanted in world.wanted.get((kind.kind, action.command), {}).items():
                    for argument in sorted(known & wanted):
                        yield Unsaid((word, index), profile, action.command, argument)
