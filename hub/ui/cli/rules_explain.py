"""``hub rules explain``: why a rule does or does not stand, beside a running hub or after it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated

import typer

from hub.errors import ConfigError
from hub.model.values import Scalar
from hub.replay.explanation import Explainer, Explanation
from hub.replay.present import present
from hub.rules.intervals import Between
from hub.rules.terms import Seen
from hub.ui.cli.rules_replay import as_moment
from hub.ui.desk.desk import AsJson, desk_of
from hub.ui.desk.personal import Reason, Unmask, veil_of
from hub.ui.desk.whose import desk_for
from hub.ui.printing import say_json
from hub.ui.rules.explained import ANSWERS, PHASES, Language, in_words, known, sentence
from hub.ui.words import moment, title
from hub.veil import Veil

MOST = 50
NOWHERE = ("哪里都没有开始；用 --device 或 --place 指定", "it has begun nowhere; name a --device or --place")


def explain(
    context: typer.Context,
    rule: Annotated[str, typer.Argument(metavar="[RULE]", help="Not needed with --alarm.")] = "",
    *,
    device: Annotated[str, typer.Option(metavar="SITE/DEVICE[#PART]", help="For this device.")] = "",
    place: Annotated[str, typer.Option(metavar="SITE/PLACE", help="At this place.")] = "",
    alarm: Annotated[str, typer.Option(metavar="ID", help="The beginning of an active alarm's id.")] = "",
    at: Annotated[str | None, typer.Option(metavar="MOMENT", help="As it was: 2h ago, or 2026-11-22T14:00.")] = None,
    language: Annotated[Language | None, typer.Option(help="Only in this language.")] = None,
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Tell why a rule does or does not stand: each term with its value and age, and the word on which it waits.

    Without --device, --place and --alarm: everywhere where it has begun. It reads the journal and changes nothing.
    """
    desk = desk_of(context)
    about = "/".join(word for word in (rule, device or place or alarm) if word)
    veil = veil_of(desk, "rule", f"rule/{about}", unmask=unmask, reason=reason)
    site = (device or place).partition("/")[0]
    now = present(asyncio.run(desk_for(desk, site)).here.files_dir, None if at is None else as_moment(desk, at))
    if not now.engine.content.documents:  # else every rule would be called unknown
        begun = now.tape.begins_at
        hint = f"its journal begins at {moment(begun)}" if begun else "`hub run` writes its journal"
        raise ConfigError("before_beginning", "the hub had not begun to work with rules then", hint=hint)
    explainer = Explainer(now.engine, now.state(), now.fidelity)
    name, keys = _chosen(explainer, rule, device, place, alarm)
    found = [veiled(veil, explainer.explain(name, key)) for key in keys[:MOST]]
    if as_json:
        say_json([document(each) for each in found])
        return
    for told in found:
        for line in lines(told, language):
            typer.echo(line)
    if not found:
        typer.echo(f"{name}: {in_words(NOWHERE, language)}")
        for each in explainer.doubts:
            typer.echo(f"  {sentence(each, language or Language.EN)}")
    if len(keys) > MOST:
        typer.echo(f"… {len(keys) - MOST}")


def _chosen(explainer: Explainer, name: str, device: str, place: str, alarm: str) -> tuple[str, Sequence[str]]:
    if alarm:
        found, key = explainer.key_of_alarm(alarm)
        return found, [key]
    if not name:
        raise ConfigError("option_invalid", "which rule?", hint="hub rules explain RULE --device SITE/DEVICE")
    rule = explainer.rule(name)
    if device:
        return name, explainer.keys_of_device(rule, device)
    if place:
        return name, explainer.keys_of_place(rule, place)
    return name, explainer.keys_at_work(rule)


def veiled(veil: Veil, found: Explanation) -> Explanation:
    """Return an explanation as people may see it; whom it is about goes by a pseudonym already."""

    def seen(each: Seen) -> Seen:
        return each._replace(value=veil.value(each.name, each.value))

    def text(said: Scalar) -> Scalar:
        return veil.text(said) if isinstance(said, str) else said

    return replace(
        found,
        conditions=tuple(
            condition._replace(
                text=veil.text(condition.text),
                terms=tuple(
                    term._replace(text=veil.text(term.text), seen=tuple(map(seen, term.seen)))
                    for term in condition.terms
                ),
            )
            for condition in found.conditions
        ),
        reasons=tuple(
            replace(each, facts={name: text(said) for name, said in each.facts.items()}) for each in found.reasons
        ),
        inputs=tuple(
            (seen(whole), tuple(replace(member, seen=tuple(map(seen, member.seen))) for member in mine))
            for whole, mine in found.inputs
        ),
        params=veil.data(found.params),
    )


def lines(found: Explanation, language: Language | None) -> Iterator[str]:
    """Yield an explanation as people read it."""
    words = found.rule.rule
    phase = in_words(PHASES[found.phase], language)
    yield f"{words.rule}  {title(words.raise_.event, words.label)}  {found.key}  {moment(found.at)}  {phase}"
    for reason in found.reasons:
        for each in Language if language is None else (language,):
            yield f"  {'→' if each is (language or Language.ZH) else ' '} {sentence(reason, each)}"
    for condition in found.conditions:
        yield f"  {condition.word}: {condition.text}  = {in_words(ANSWERS[condition.verdict], language)}"
        for term in condition.terms:
            seen = "; ".join(known(each, language) for each in term.seen)
            said = sorted({each.by for each in term.seen if each.by and each.by != found.key})
            yield f"    {in_words(ANSWERS[term.verdict], language)}  {term.text}  {seen}  {' '.join(said)}".rstrip()
    for whole, mine in found.inputs:
        yield f"  inputs.{known(whole, language)}"
        for member in mine:
            seen = "; ".join(known(each, language) for each in member.seen)
            yield f"    {in_words(ANSWERS[member.counts], language)}  {member.key}  {seen}"
    if found.params:
        yield f"  params: {'  '.join(f'{name}={said}' for name, said in found.params.items())}"


def document(found: Explanation) -> dict[str, object]:
    """Return an explanation for programs; spans and ages in ns, moments as wall ns."""
    return {
        "rule": found.rule.name,
        "key": found.key,
        "at": found.at,
        "phase": found.phase.value,
        "alarm": "" if found.state is None else found.state.alarm,
        "reasons": [
            {
                "code": each.code, "word": each.word, "facts": dict(each.facts),
                "said": {language.value: sentence(each, language) for language in Language},
            }
            for each in found.reasons
        ],
        "conditions": [
            {
                "word": condition.word, "text": condition.text, "verdict": condition.verdict,
                "terms": [
                    {"text": term.text, "verdict": term.verdict, "seen": [_seen(each) for each in term.seen]}
                    for term in condition.terms
                ],
            }
            for condition in found.conditions
        ],
        "inputs": [
            {
                **_seen(whole),
                "members": [
                    {"key": each.key, "counts": each.counts, "seen": [_seen(one) for one in each.seen]} for each in mine
                ],
            }
            for whole, mine in found.inputs
        ],
        "params": dict(found.params),
    }  # fmt: skip


def _seen(seen: Seen) -> dict[str, object]:
    said: Scalar | list[float] | None = None
    said = [seen.value.low, seen.value.high] if isinstance(seen.value, Between) else seen.value
    return {
        "name": seen.name, "value": said, "age_ns": seen.age, "stale_after_ns": seen.stale_after,
        "stale": seen.is_stale, "by": seen.by,
    }  # fmt: skip
