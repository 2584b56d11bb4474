"""Which column plays which role, and how its values become ids, times and ratings."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from genrec.data.readers.source import ANY, Locate, Log, Options
from genrec.data.readers.times import times_of
from genrec.data.readers.values import as_ids, as_ratings, as_texts, num_zeros
from genrec.errors import DataError

# Lower case without accents, letters and digits only (`folded`). No name stands for two roles.
ALIASES: dict[str, tuple[str, ...]] = {
    "user_id": (
        *("userid", "user", "reviewerid", "uid", "customerid", "customer", "visitorid", "memberid"),
        *("custid", "customernumber", "customerno", "clientid", "client", "buyerid", "buyer", "shopperid"),
        *("accountid", "householdkey", "householdid", "kundenid", "kundeid", "kundennummer", "kundennr"),
        *("kunde", "idclient", "idcliente", "clienteid", "cliente", "customeremail", "email"),
    ),
    "item_id": (
        *("itemid", "item", "movieid", "movie", "parentasin", "asin", "iid", "productid", "product"),
        *("businessid", "bookid", "isbn", "trackid", "songid"),
        *("gameid", "articleid", "newsid", "sku", "appid"),
        *("stockcode", "productsku", "itemsku", "lineitemsku", "skuid", "productcode", "itemcode"),
        *("productnumber", "productno", "itemnumber", "itemno", "articlenumber", "articleno", "variantid"),
        *("artikelnummer", "artikelnr", "artnr", "artikelid", "artikel", "produktid", "produktnummer"),
        *("produkt", "idarticle", "idproduit", "produit", "idproducto", "productoid", "producto"),
        *("idprodotto", "prodotto", "articolo", "gtin", "ean"),
    ),
    "timestamp": (
        *("timestamp", "time", "unixreviewtime", "unixtime", "ts"),
        *("datetime", "date", "eventtime", "createdat"),
        *("invoicedate", "orderdate", "ordertime", "orderdatetime", "ordertimestamp", "orderedat"),
        *("purchasedate", "purchasetime", "purchasetimestamp", "purchasedat", "transactiondate"),
        *("transactiontime", "transactiondt", "tdat", "eventtimestamp", "eventdate", "saledate", "salesdate"),
        *("bestelldatum", "kaufdatum", "rechnungsdatum", "auftragsdatum", "belegdatum", "zeitstempel"),
        *("zeitpunkt", "datum", "uhrzeit", "zeit", "datecommande", "dateachat", "fechapedido"),
        *("fechacompra", "fecha", "dataordine", "dataacquisto"),
    ),
    "order_id": (
        *("orderid", "ordernumber", "orderno", "invoiceid", "invoicenumber", "invoiceno", "invoice"),
        *("basketid", "basket", "transactionid", "receiptid", "receiptno", "amazonorderid"),
        *("bestellnummer", "bestellnr", "bestellid", "auftragsnummer", "auftragsnr", "rechnungsnummer"),
        *("rechnungsnr", "belegnummer", "bonnummer", "bonnr", "idcommande", "idpedido", "idordine"),
    ),
    "rating": ("rating", "overall", "stars", "score", "ratings"),
    "text": ("text", "reviewtext", "review", "comment"),
    "headline": ("headline", "summary", "reviewtitle", "reviewheadline"),
    "title": (
        *("title", "movietitle", "itemtitle", "itemname", "productname", "producttitle", "lineitemname"),
        *("articlename", "prodname", "artikelname", "artikelbezeichnung", "produktname"),
        *("produktbezeichnung", "bezeichnung", "titel", "titre"),
        *("titulo", "titolo", "libelle", "designation"),
        *("nomproduit", "nombreproducto", "nomeprodotto"),
    ),
}
# A shop's log says with it what was bought; a list of items, mostly, what can be said of each at length.
DESCRIPTION = "description"
LABELS = (
    *("label", "click", "clicked", "isclick", "like", "liked"),
    *("islike", "purchased", "bought", "interaction"),
)


def find_columns(
    names: Sequence[str],
    options: Options,
    source: str,
    needed: Sequence[str] = ("user_id", "item_id", "timestamp"),
) -> dict[str, str]:
    """The column of each role: as the caller named it, else by its usual names; none where the caller said None.

    Raises:
        DataError: a named column is missing, or no column plays a needed role.
    """
    found, absent, hint = dict[str, str](), list[str](), ""
    for role, name in options.named.items():
        if name in names:
            found[role] = name
        elif role in needed or role != "title":  # the titles may stand in the file of items
            absent.append(name)
            if role == "item_id":
                say = f"item_columns={{{role!r}: {name!r}}} (--item-column {role}={name})"
                hint = f"; if the file of items has it, say {say}"
    by_name = {
        role: _by_usual_name(role, names, source)
        for role in ALIASES
        if role not in options.columns and (role != "order_id" or options.orders in (None, "id"))
    }
    found |= {role: name for role, name in by_name.items() if name is not None}
    played: dict[str, str] = {}
    for role in ("user_id", "item_id", "timestamp", "order_id"):  # a title may well be the id
        other = played.setdefault(found[role], role) if role in found else role
        if other != role:
            raise DataError(
                f"the column {found[role]!r} of {source} is taken as {other} and as {role}: name another for one"
            )
    for name in found.values():
        if names.count(name) > 1:
            raise DataError(f"{source} has several columns called {name!r}: rename all but one")
    missing = [
        role
        for role in needed
        if role not in {*found, *options.named} and not (role == "timestamp" and options.ordered)
    ]
    if options.orders == "id" and "order_id" not in {*found, *options.named}:
        missing.append("order_id")
    if absent:
        also = f"; nor has it one for {' nor '.join(missing)}: {_remedy(missing)}" if missing else ""
        raise DataError(no_such_column(absent, names, source) + hint + also)
    if missing:
        raise DataError(
            f"{source} has no column for {' nor '.join(missing)} among {some(names)}: {_remedy(missing)}"
        )
    return found


def _remedy(missing: Sequence[str]) -> str:
    """What to do about roles that no column plays."""
    said = ", ".join(f"{role!r}: ..." for role in missing)
    remedy = f"name {'it' if len(missing) == 1 else 'them'} with columns={{{said}}} "
    remedy += f"({' '.join(f'--column {role}=NAME' for role in missing)})"
    if "timestamp" in missing:
        remedy += ", or say ordered=True (--ordered) if the rows stand in time order"
    return f"{remedy}; `genrec data FILE --wizard` proposes a command"


def _by_usual_name(role: str, names: Sequence[str], source: str) -> str | None:
    """The column whose name is most usual for a role, if there is one.

    Raises:
        DataError: there are two, which differ in case, blanks or underscores.
    """
    more = (DESCRIPTION,) if role == "title" else ()
    hit = next(iter(usual(role, names, more)), None)
    alike = dict.fromkeys(name for name in names if hit is not None and folded(name) == folded(hit))
    if len(alike) > 1:
        told = " and ".join(map(repr, alike))
        raise DataError(f"{source} has the columns {told}: say which is {role} with --column {role}=NAME")
    return hit


def usual(role: str, names: Sequence[str], more: Sequence[str] = ()) -> list[str]:
    """Columns whose names are usual for a role, or among `more` such names, the most telling first."""
    return _called((*ALIASES[role], *more), names)


def _called(aliases: Iterable[str], names: Sequence[str]) -> list[str]:
    known = {folded(name): name for name in reversed(names)}
    return [known[alias] for alias in aliases if alias in known]


def folded(name: str) -> str:
    """A column's name as it is compared: lower case without accents, letters and digits only."""
    return re.sub(r"[^0-9a-z]", "", unicodedata.normalize("NFKD", name).casefold())


def some(names: Sequence[str]) -> str:
    """Names in one line, of very many or long ones the beginning."""
    shown = [" ".join(name.split())[:40] for name in names[:20]]
    return ", ".join(shown) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def looked_at(names: Sequence[str], roles: Mapping[str, str], options: Options) -> list[str]:
    """The columns that `standard` wants to see: those of the roles, others that may hold the times, and labels."""
    return list(dict.fromkeys([*roles.values(), *_times(names, options), *_called(LABELS, names)]))


def _times(names: Sequence[str], options: Options) -> list[str]:
    """The columns that may hold the times, where the caller named none."""
    return [] if "timestamp" in options.columns else usual("timestamp", names)


def no_such_column(absent: Sequence[str], names: Sequence[str], source: str) -> str:
    """One line on columns that are not there."""

    def told(name: str) -> str:
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        return repr(name) + (f" (did you mean {nearest[0]!r}?)" if nearest else "")

    return f"{source} has no column {' nor '.join(map(told, absent))}; it has {some(names)}"


def standard(
    frame: pl.DataFrame, roles: Mapping[str, str], source: str, locate: Locate, options: Options = ANY
) -> Log:
    """A log from a frame whose columns play `roles`, less the rows without user, item or time.

    `options` are those by which the roles were found.

    Raises:
        DataError: no rows, a time that cannot be read, or ids of a type that names nothing.
    """
    if not frame.height:
        raise DataError(f"{source} is empty: it has no rows of interactions")
    notes, dates = list[str](), None
    columns = {role: frame[name] for role, name in roles.items()}
    for role in ("user_id", "item_id", "order_id"):
        if role in columns:
            columns[role] = as_ids(columns[role], source)
    if "timestamp" in columns:
        others = [name for name in _times(frame.columns, options) if name != roles["timestamp"]]
        candidates = [columns.pop("timestamp"), *(frame[name] for name in others)]
        found = times_of(candidates, source, locate, options.ordered, options.dates)
        columns |= {} if found.values is None else {"timestamp": found.values}
        notes, dates = notes + found.notes, found.dates
    if "rating" in columns:
        ratings, said = as_ratings(columns.pop("rating"), source, locate)
        columns |= {} if ratings is None else {"rating": ratings}
        notes += said
    notes += _labels(frame, roles, columns.get("rating"))
    for role in {"text", "headline", "title"} & set(columns):
        columns[role] = as_texts(columns[role], source, role)
    log = pl.DataFrame([values.alias(role) for role, values in columns.items()]).with_row_index("row")
    dropped = {}
    for role, reason in {"user_id": "no user", "item_id": "no item", "timestamp": "no time"}.items():
        if role in columns and log[role].null_count():
            dropped[reason] = log[role].null_count()
            log = log.filter(log[role].is_not_null())
    if not log.height:
        raise DataError(f"{source} has no row that can be used; dropped were {dropped}")
    return Log(log, source, frame.height, dropped, notes, dict(roles), dates)


def _labels(frame: pl.DataFrame, roles: Mapping[str, str], ratings: pl.Series | None) -> list[str]:
    """Notes on columns of 0 and 1 that seem to say what was taken and what was only shown."""
    columns = [] if ratings is None else [ratings]
    columns += [frame[name] for name in _called(LABELS, frame.columns) if name not in roles.values()]
    notes = []
    for values in columns:
        if count := num_zeros(values):
            option = (
                "--min-rating 1" if values is ratings else f"--column rating={values.name} --min-rating 1"
            )
            share = f"{count:,} of {frame.height:,} rows"
            notes.append(
                f"column {values.name!r} is 0 in {share}, which count as taken unless {option} is given"
            )
    return notes
