"""What is wrong with a rule, or only doubtful, against the kinds that it speaks of; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hub.catalogue import Catalogue, Kind, Type, Typed, is_member
from hub.durations import read_duration
from hub.errors import ConfigError
from hub.model.values import Scalar
from hub.rules.clauses import Clear
from hub.rules.expression import compile_expression
from hub.rules.lints import World, doubts, senses
from hub.rules.names import Scope, scope_of, suggestion
from hub.rules.problem import Path, Problem, Weight, doubt, error
from hub.rules.rule import Do, Rule
from hub.rules.testing import Step, speaking_kind


def problems(rule: Rule, catalogue: Catalogue, world: World | None = None) -> list[Problem]:
    """Return everything that is wrong or doubtful in the ``world``; errors first."""
    try:
        scope = scope_of(rule, catalogue)
    except ConfigError as refused:
        return [_refusal(refused)]
    found = _wrong(rule, scope, catalogue)
    installed = World() if world is None else world
    return [*found, *doubts(rule, installed), *([] if found else senses(rule, scope, catalogue, installed))]


def errors(rule: Rule, catalogue: Catalogue) -> list[Problem]:
    """Return only what is wrong: a start asks no more, and to doubt was a fifth of its reading."""
    try:
        found = _wrong(rule, scope_of(rule, catalogue), catalogue)
    except ConfigError as refused:
        return [_refusal(refused)]
    return [each for each in found if each.weight is Weight.ERROR]


def _refusal(refused: ConfigError) -> Problem:
    path = refused.fields["path"]
    return error(refused.code, refused.message, path if isinstance(path, tuple) else (), refused.hint)


def _wrong(rule: Rule, scope: Scope, catalogue: Catalogue) -> list[Problem]:
    """Return what is wrong, and what is doubtful about its actions."""
    concerned = scope.kinds
    found = [*_expressions(rule, scope)]
    for word, actions in (("do", rule.do), ("while_pending", rule.while_pending)):
        for index, action in enumerate(actions):
            found += _action(action, (word, index), concerned, catalogue)
    for index, case in enumerate(rule.tests):
        for number, given in enumerate(case.given):
            place: Path = ("tests", index, "given", number)
            if given.device is not None and given.device.partition("-")[0] not in catalogue.kinds:
                hint = suggestion(given.device, catalogue.kinds)
                found.append(error("unknown_kind", f"there is no kind {given.device!r}", (*place, "device"), hint))
                continue
            found += _step(given, place, _speaker(given, rule, concerned, catalogue))
    return found


def _expressions(rule: Rule, scope: Scope) -> Iterator[Problem]:
    clear = Clear() if rule.clear is None else rule.clear
    texts: list[tuple[Path, str | None]] = [
        (("when",), rule.when), (("unless",), rule.unless), (("where",), rule.where), (("clear", "when"), clear.when),
        (("clear", "refuse_while"), clear.refuse_while),
        *((("ladder", index, "when"), each.when) for index, each in enumerate(rule.ladder)),
    ]  # fmt: skip
    for path, text in texts:
        try:
            if text is not None:
                is_said = path == ("where",) or (path == ("unless",) and rule.is_momentary)
                known = scope.said if is_said else scope.names
                compile_expression(text, known, may_be_constant=path == ("unless",))
        except ConfigError as refused:
            yield error(refused.code, refused.message, path, refused.hint)


# ------------------------------------------------------------------------------------------------------------ actions


def _action(action: Do, path: Path, concerned: Sequence[Kind], catalogue: Catalogue) -> Iterator[Problem]:
    targets = concerned
    if action.to is not None:
        if action.to.kind not in catalogue.kinds:
            hint = suggestion(action.to.kind, catalogue.kinds)
            yield error("unknown_kind", f"there is no kind {action.to.kind!r}", (*path, "to", "kind"), hint)
            return
        targets = [catalogue.kinds[action.to.kind]]
    for kind in targets:
        command = kind.commands.get(action.command)
        if command is None:
            hint = suggestion(action.command, kind.commands)
            message = f"a {kind.kind} has no command {action.command!r}"
            yield error("unknown_command", message, (*path, "command"), hint)
            continue
        yield from _arguments(action.args, command.args, (*path, "args"))
        is_hold = action.until is not None or path[0] == "while_pending"
        if is_hold and command.release is None and action.at_most is None:
            message = f"nothing undoes {action.command} of a {kind.kind}: it ends when the device lets go by itself"
            yield doubt("no_release", message, (*path, "until") if action.until else path, "name a release in the kind")


def _arguments(given: Mapping[str, Scalar], known: Mapping[str, Typed], path: Path) -> Iterator[Problem]:
    for name, value in given.items():
        typed = known.get(name)
        if typed is None:
            yield error("unknown_argument", f"the command has no {name!r}", (*path, name), suggestion(name, known))
        elif not _fits(typed, value):
            yield error("bad_argument", f"{name} is a {typed.type.value}, not {value!r}", (*path, name))


def _fits(typed: Typed, value: Scalar) -> bool:
    """Return whether ``value`` as YAML writes it is what ``typed`` says; a duration is written 30s."""
    if typed.type is not Type.DURATION:
        return is_member(typed, value)
    try:
        read_duration(value)
    except ValueError:
        return False
    return True


# -------------------------------------------------------------------------------------------------------------- tests


def _speaker(step: Step, rule: Rule, concerned: Sequence[Kind], catalogue: Catalogue) -> Kind:
    """Return the kind of the device that says ``step`` in a test."""
    if step.device is not None:
        return catalogue.kinds[step.device.partition("-")[0]]
    place = rule.for_each.place
    return concerned[0] if place is None else speaking_kind(step, place, concerned)


def _step(step: Step, path: Path, kind: Kind) -> Iterator[Problem]:
    """Yield what the device under test could not say: the native payload would only leave it out."""
    for name in step.values:
        if name not in kind.properties:
            message = f"a {kind.kind} has no property {name!r}"
            yield error("unknown_property", message, (*path, "values", name), suggestion(name, kind.properties))
    if step.signal is not None and step.signal not in kind.signals:
        message = f"a {kind.kind} does not report {step.signal!r}"
        yield error("unknown_signal", message, (*path, "signal"), suggestion(step.signal, kind.signals))
    known = kind.signals[step.signal].data if step.signal in kind.signals else step.data
    for name in step.data:
        if name not in known:
            message = f"{step.signal} carries no {name!r}"
            yield error("unknown_data", message, (*path, "data", name), suggestion(name, known))
