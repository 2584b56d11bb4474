"""Users on a page: what they had, what each recommender would put before them, and what they took next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

from genrec.evaluation import numbers
from genrec.evaluation.beyond_accuracy import DEPTH
from genrec.evaluation.outcomes import LAST, Outcome
from genrec.pages.charts import ticks_between

_SHOWN_HISTORY = 12  # items of a history that are shown; the earlier ones are counted
_CHOSEN = (
    f"Three users, chosen by what happened: one whose next item is among the first {DEPTH} of {{own}}, one whose item "
    f"stands just behind, at rank {DEPTH + 1} to {LAST}, and one whose item is not among the first {LAST}. Of each "
    "kind it is the user in the middle, by rank and then by length of history: not the best case, and no lucky draw."
)
_LISTS = (
    "Above is what they had, oldest first, and what they took next (→); below is what was put before them, where what "
    "they took is marked."
)
_PROBABILITIES = (
    " A percentage is the probability that the recommender gives an item as the next one; the bars under the items run "
    "from 0 to {end}, in all lists alike."
)
_REASONS = (
    " Below an item stands what of the history speaks for it most: without that its score would be lowest."
)


class ShownItem(NamedTuple):
    """An item of a list as a page shows it.

    Attributes:
        title: of the item.
        probability: None where the recommender gives none.
        because: title of the item of the history that speaks for it most, where that is known.
        rank: where it stands, if not right behind the item before it.
    """

    title: str
    probability: float | None = None
    because: str | None = None
    rank: int | None = None


@dataclass(frozen=True)
class ShownUser:
    """One user as a page shows them.

    Attributes:
        name: what to call the user.
        history: titles, oldest first.
        lists: recommender to its items, best first; the first one is the one that the page is about.
        taken: title of what the user did take next, of an order all titles, where that is known.
        background: what else a list was made from, such as a profile: lines under their headings.
        outcome: what happened, as in `genrec.evaluation.outcomes.Outcome.name`; empty: it is not told.
        told: what happened, in a sentence.
        places: recommender to where it put what was taken, in words; with them all lists but the first are folded.
    """

    name: str
    history: Sequence[str]
    lists: Mapping[str, Sequence[ShownItem]] = field(default_factory=dict)
    taken: Sequence[str] = ()
    background: Mapping[str, Sequence[str]] = field(default_factory=dict)
    outcome: str = ""
    told: str = ""
    places: Mapping[str, str] = field(default_factory=dict)


class Nobody(NamedTuple):
    """The place of a user whom there is not: to nobody that happened, which `told` says in a sentence."""

    outcome: str
    told: str


def what_happened(own: str, outcome: Outcome, num_users: int, rank: int, *, of_order: bool = False) -> str:
    """A sentence on what happened to the user of an outcome, and to how many it did.

    Args:
        own: name of the recommender.
        outcome: hit, near miss or miss.
        num_users: of all.
        rank: of what the user took, of an order of what was found first.
        of_order: the user took several items.
    """
    ranks = {
        "hit": f"rank 1 to {DEPTH}",
        "near miss": f"rank {DEPTH + 1} to {LAST}",
        "miss": f"a rank behind {LAST}, or no rank at all",
    }
    if outcome.row is None:
        return (
            f"No {outcome.name}: of {numbers.count(num_users)} users nobody's item has {ranks[outcome.name]}."
        )
    many = f"as for {numbers.count(outcome.num_users)} of {numbers.count(num_users)} users"
    what = "an item of their next order" if of_order else "what they took next"
    if outcome.name == "miss":
        missing = "has no item of their next order" if of_order else "does not have what they took next"
        return f"{own} {missing} among its first {LAST}: a miss, {many}."
    behind = "" if outcome.name == "hit" else f", just behind the first {DEPTH}"
    return f"{own} put {what} at rank {rank}{behind}: a {outcome.name}, {many}."


def place_of(rank: int) -> str:
    """Where a recommender put an item, in words; 0: not among the first `LAST`."""
    return f"rank {rank}" if 1 <= rank <= LAST else f"not among the first {LAST}"


def users_section(own: str, users: Sequence[ShownUser | Nobody]) -> str:
    """The section of three users; empty without any.

    Args:
        own: name of the recommender that the page is about.
        users: hit, near miss and miss.
    """
    if not users:
        return ""
    shown = [
        item
        for user in users
        if isinstance(user, ShownUser)
        for items in user.lists.values()
        for item in items
    ]
    largest = max((item.probability or 0.0 for item in shown), default=0.0)
    end = min(ticks_between(0.0, largest)[-1], 1.0) if largest > 0 else 1.0
    about = _CHOSEN.format(own=escape(own))
    lists = _LISTS
    if largest > 0:
        lists += _PROBABILITIES.format(end=f"{100 * end:.3g}%")
    if any(item.because for item in shown):
        lists += _REASONS
    cards = "".join(
        user_card(user, end)
        if isinstance(user, ShownUser)
        else f'<article class="card user">{_heading(user.outcome, "")}<p>{escape(user.told)}</p></article>'
        for user in users
    )
    return f'<section><h2>Three users</h2><p>{about}</p><p class="soft">{lists}</p>{cards}</section>'


def user_card(user: ShownUser, end: float = 1.0) -> str:
    """A card with a user's history and what each recommender made of it.

    Args:
        user: to show.
        end: probability at which a bar is full.
    """
    earlier = len(user.history) - _SHOWN_HISTORY
    trail = [f"<span>… {numbers.count(earlier)} earlier</span>"] if earlier > 0 else []
    trail += [f"<span>{escape(title)}</span>" for title in user.history[-_SHOWN_HISTORY:]]
    if not user.history:
        trail.append("<span>nothing yet</span>")
    trail += [f'<span class="next">→ {escape(title)}</span>' for title in user.taken]
    told = f"<p>{escape(user.told)}</p>" if user.told else ""
    background = "".join(
        f"<details><summary>{escape(heading)}</summary><ol>"
        f"{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ol></details>"
        for heading, lines in user.background.items()
        if lines
    )
    look = "card user one" if user.places else "card user"  # history and list beside one another
    return (
        f'<article class="{look}"><div class="history">{_heading(user.outcome, user.name)}{told}<div class="trail">'
        f"{''.join(trail)}</div>{background}</div>{_lists(user, end)}</article>"
    )


def _heading(outcome: str, name: str) -> str:
    """Of a card: what happened, and to whom."""
    if not outcome:
        return f"<h3>{escape(name)}</h3>"
    mark = f'<span class="outcome {outcome.replace(" ", "-")}">{escape(outcome.capitalize())}</span>'
    return f"<h3>{mark} {escape(name)}</h3>"


def _lists(user: ShownUser, end: float) -> str:
    lists = [
        f"<div><h4>{escape(name)}</h4><ol>{_entries(entries, user.taken, end)}</ol></div>"
        for name, entries in user.lists.items()
    ]
    if not user.places:
        return f'<div class="lists">{"".join(lists)}</div>'
    others = "; ".join(
        f"{escape(name)} {escape(place)}".rstrip() for name, place in list(user.places.items())[1:]
    )
    folded = (
        f"<details><summary>The lists of the others, and where what they took stands there: {others}"
        f'</summary><div class="lists">{"".join(lists[1:])}</div></details>'
        if others
        else ""
    )
    return f'<div class="lists">{"".join(lists[:1])}</div>{folded}'


def _entries(entries: Sequence[ShownItem], taken: Sequence[str], end: float) -> str:
    rows, before = [], 0
    for title, probability, because, rank in entries:
        place = before + 1 if rank is None else rank
        gap = ' class="gap"' if place > before + 1 else ""
        before = place
        share = bar = reason = ""
        if probability is not None:
            share = escape(numbers.probability(probability))
            bar = f'<span class="thin"><i style="width:{min(100 * probability / end, 100):.1f}%"></i></span>'
        if because is not None:
            reason = f'<span class="because">because of {escape(because)}</span>'
        hit = ' class="hit"' if title in taken else ""
        if gap:
            rows.append(f'<li{gap} aria-hidden="true"><span>⋮</span></li>')
        rows.append(
            f'<li{hit}><span>{place}</span><span class="title" title="{escape(title)}">{escape(title)}</span>'
            f"<span>{share}</span>{bar}{reason}</li>"
        )
    return "".join(rows)
