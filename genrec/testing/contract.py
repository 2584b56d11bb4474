"""What every recommender promises, as tests to inherit.

>>> class TestMine(RecommenderContract):
...     recommenders = (Mine,)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest

from genrec.data.catalogue import Catalogue
from genrec.data.interactions import Histories, Interactions
from genrec.data.ranking import Rankings
from genrec.errors import ConfigError, NotFittedError, RunError, UnknownItemError
from genrec.recommenders.base import Recommender, create, load
from genrec.testing.toys import TITLES, ring

NUM_ITEMS = len(TITLES)
# A newcomer, a single item, walks of several lengths, one round the end, one backwards with a repeat.
HISTORIES = Histories.from_lists([[], [5], [3, 4, 5], [9, 10, 11, 12, 13], [22, 23, 0], [8, 7, 8, 6]])


def _only(chosen: Callable[[RecommenderContract, type[Recommender]], bool]) -> Callable[[Any], Any]:
    """A test that only these recommenders have to pass."""

    def mark(test: Any) -> Any:
        test.chosen = chosen
        return test

    return mark


@cache
def _ring() -> Interactions:
    """72 users; each starts somewhere and takes 6 to 8 items, always the next one of the catalogue."""
    return ring(
        TITLES,
        num_users=3 * NUM_ITEMS,
        length=lambda user: 6 + user // NUM_ITEMS,
        ids=[f"i{row:02d}" for row in range(NUM_ITEMS)],
        genres=[["Drama"] if row % 6 else ["Comedy", "Drama"] for row in range(NUM_ITEMS)],
        year=[None if row % 8 == 7 else 2000 + row % 5 for row in range(NUM_ITEMS)],
    )


@cache
def _fitted(cls: type[Recommender]) -> Recommender:
    return create(cls.name, **cls.tiny).fit(_ring())


class RecommenderContract:
    """31 tests of each of `recommenders`, classes under `@register`, with its `tiny` options on a ring of 24 items."""

    recommenders: ClassVar[Sequence[type[Recommender]]]
    weighing: ClassVar[
        Sequence[str]
    ] = ()  # names of those that weigh the probability which `why` shows with other scores

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Every test for every recommender; those of one come together, so that it is fitted once."""
        chosen = getattr(metafunc.function, "chosen", lambda contract, cls: True)
        classes = [cls for cls in self.recommenders if chosen(self, cls)]
        metafunc.parametrize("cls", classes, ids=[cls.name for cls in classes], scope="session")

    @pytest.fixture
    def data(self) -> Interactions:
        """What they are fitted on; no test may change it."""
        return _ring()

    @pytest.fixture
    def fitted(self, cls: type[Recommender]) -> Recommender:
        """Fitted once, so no test may change it."""
        return _fitted(cls)

    @pytest.fixture
    def copy(self, fitted: Recommender, tmp_path: Path) -> Recommender:
        """A new recommender equal to `fitted`, by way of the disk; a test may change it."""
        return load(fitted.save(tmp_path / "copy"))

    def test_says_what_it_is(self, cls: type[Recommender]) -> None:
        assert cls.pipeline
        assert "\n" not in cls.pipeline
        assert "http" in cls.paper
        assert cls.__doc__

    def test_unfitted_raises(self, cls: type[Recommender], tmp_path: Path) -> None:
        model = create(cls.name, **cls.tiny)
        for ask in (
            lambda: model.rank(HISTORIES),
            lambda: model.recommend([["i05"]]),
            lambda: model.save(tmp_path / "unfitted"),
            lambda: model.remove_items(["i05"]),
        ):
            with pytest.raises(NotFittedError, match=cls.name):
                ask()
        assert not (tmp_path / "unfitted").exists()

    @pytest.mark.parametrize("error", [ConfigError("no history has two items"), KeyboardInterrupt()])
    def test_after_a_fit_that_came_to_nothing_it_says_that_it_is_not_fitted(
        self,
        copy: Recommender,
        data: Interactions,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        error: BaseException,
    ) -> None:
        def interrupted(*args: object) -> None:
            raise error

        monkeypatch.setattr(type(copy), "_fit", interrupted)
        with pytest.raises(type(error)):
            copy.fit(data)
        for ask in (
            lambda: copy.rank(HISTORIES),
            lambda: copy.recommend([["i05"]]),
            lambda: copy.why(["i05"], "i06"),
            lambda: copy.save(tmp_path / "unfitted"),
            lambda: copy.add_items(pl.DataFrame({"item_id": ["n1"], "title": ["Brand New Thing"]})),
        ):
            with pytest.raises(NotFittedError, match=copy.name):
                ask()
        assert not [name for name in vars(copy) if name.endswith("_") and name != "removed_"]

    def test_unknown_option_is_refused(self, cls: type[Recommender]) -> None:
        with pytest.raises(ConfigError, match="no_such_option"):
            create(cls.name, no_such_option=1)

    def test_fit_twice_gives_the_same_lists(self, cls: type[Recommender], data: Interactions) -> None:
        items = data.histories.items.copy()
        quick = {
            name: few for name, few in {"epochs": 4, "warmup_steps": 1}.items() if name in cls.Config.names()
        }
        model = create(cls.name, **(cls.tiny | quick)).fit(data)
        expected = model.rank(HISTORIES, 10)
        again = model.remove_items(["i06"]).fit(data)  # nothing of its former life may stay
        assert_same(again.rank(HISTORIES, 10), expected)
        np.testing.assert_array_equal(data.histories.items, items)

    def test_save_and_load_give_the_same_lists(self, fitted: Recommender, copy: Recommender) -> None:
        assert type(copy) is type(fitted)
        assert copy.config == fitted.config
        found, expected = copy.rank(HISTORIES, 10), fitted.rank(HISTORIES, 10)
        np.testing.assert_array_equal(found.items_BK, expected.items_BK)
        np.testing.assert_array_equal(found.scores_BK, expected.scores_BK)  # to the last bit

    def test_save_keeps_the_removed_and_the_added(self, copy: Recommender, tmp_path: Path) -> None:
        model = copy.add_items(pl.DataFrame({"item_id": ["n1"], "title": ["Brand New Thing"]})).remove_items(
            ["i06"]
        )
        again = load(model.save(tmp_path / "changed"))
        assert_same(again.rank(HISTORIES, NUM_ITEMS + 1), model.rank(HISTORIES, NUM_ITEMS + 1))

    def test_a_loaded_one_can_be_saved_over_itself(self, copy: Recommender, tmp_path: Path) -> None:
        changed = copy.remove_items(["i06"]).add_items(
            pl.DataFrame({"item_id": ["i05"], "title": ["Renamed"]})
        )
        again = load(changed.save(tmp_path / "copy"))
        assert_same(again.rank(HISTORIES, 10), changed.rank(HISTORIES, 10))
        again.add_items(pl.DataFrame({"item_id": ["i05", "i06"], "title": [TITLES[5], TITLES[6]]}))
        once_more = load(again.save(tmp_path / "copy"))
        assert once_more.catalogue.titles == TITLES
        assert_same(once_more.rank(HISTORIES, 10), again.rank(HISTORIES, 10))

    def test_a_foreign_folder_is_not_overwritten(self, fitted: Recommender, tmp_path: Path) -> None:
        (tmp_path / "thesis.txt").write_text("years of work")
        with pytest.raises(RunError, match="not empty"):
            fitted.save(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]

    def test_a_half_written_folder_is_refused(self, fitted: Recommender, tmp_path: Path) -> None:
        folder = fitted.save(tmp_path / "run")
        (folder / "recommender.json").unlink()
        with pytest.raises(RunError, match=r"recommender\.json"):
            load(folder)

    @pytest.mark.parametrize("damage", ["empty", "cut", "exchanged", "gone"])
    def test_every_file_of_a_saved_model_is_checked_when_it_is_loaded(
        self, fitted: Recommender, tmp_path: Path, damage: str
    ) -> None:
        folder = fitted.save(tmp_path / "run")
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            content = path.read_bytes()
            if damage == "gone":
                path.unlink()
            elif damage == "exchanged":  # one bit of it
                middle = len(content) // 2
                path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
            else:
                path.write_bytes(content[: len(content) // 2 if damage == "cut" else 0])
            with pytest.raises(RunError, match=path.name):
                load(folder)
            path.write_bytes(content)
        load(folder)

    def test_a_file_that_was_not_saved_with_it_is_told(self, fitted: Recommender, tmp_path: Path) -> None:
        folder = fitted.save(tmp_path / "run")
        (folder / ".DS_Store").write_bytes(b"left by a desktop")
        load(folder)
        stray = "strange.json" if (folder / "words.json").exists() else "words.json"  # which some could read
        (folder / stray).write_text("[]")
        with pytest.raises(RunError, match=f"{stray} was not saved"):
            load(folder)

    def test_saving_again_leaves_nothing_of_the_other(
        self, fitted: Recommender, data: Interactions, tmp_path: Path
    ) -> None:
        folder = fitted.save(tmp_path / "run")
        fitted.save(folder)
        load(folder)
        create("popular").fit(data).save(folder)
        left = sorted(path.name for path in folder.rglob("*") if path.is_file())
        assert left == ["items.parquet", "popular.safetensors", "recommender.json"]

    def test_nothing_saved_is_pickled(self, fitted: Recommender, tmp_path: Path) -> None:
        suffixes = {path.suffix for path in fitted.save(tmp_path / "run").rglob("*") if path.is_file()}
        assert not suffixes & {".pkl", ".pickle", ".pt", ".pth", ".bin", ".npy", ".tmp"}

    def test_seen_items_are_never_returned_and_k_are_given(self, fitted: Recommender) -> None:
        found = fitted.rank(HISTORIES, 10)
        for items_K, history in zip(found.items_BK, HISTORIES, strict=True):
            assert len(set(items_K.tolist())) == 10
            assert ((items_K >= 0) & (items_K < NUM_ITEMS)).all()
            assert not set(items_K.tolist()) & set(history.tolist())
        assert found.items_BK.dtype == np.int32
        assert found.scores_BK.dtype == np.float32
        assert (np.diff(found.scores_BK, axis=1) <= 0).all()

    def test_seen_items_are_returned_when_asked_for(self, fitted: Recommender) -> None:
        found = fitted.rank(HISTORIES, NUM_ITEMS, exclude_seen=False)
        np.testing.assert_array_equal(
            np.sort(found.items_BK, axis=1), np.tile(np.arange(NUM_ITEMS), (len(HISTORIES), 1))
        )

    @pytest.mark.parametrize("k", [NUM_ITEMS + 5, 10**20])
    def test_k_larger_than_the_catalogue_gives_all_of_it(self, fitted: Recommender, k: int) -> None:
        found = fitted.rank(HISTORIES, k)
        assert found.items_BK.shape == found.scores_BK.shape == (len(HISTORIES), NUM_ITEMS)
        for items_K, scores_K, history in zip(found.items_BK, found.scores_BK, HISTORIES, strict=True):
            unseen = set(range(NUM_ITEMS)) - set(history.tolist())
            assert sorted(items_K[: len(unseen)].tolist()) == sorted(unseen)
            assert (items_K[len(unseen) :] == -1).all()
            assert np.isneginf(scores_K[len(unseen) :]).all()

    def test_nobody_to_recommend_to(self, fitted: Recommender) -> None:
        assert fitted.rank(Histories.from_lists([]), 10).items_BK.shape == (0, 10)
        assert fitted.recommend([]) == []

    def test_empty_history_and_raw_names(self, fitted: Recommender) -> None:
        newcomer, walker = fitted.recommend([[], ["i03", "comet harbour 5"]], k=7)
        assert len(newcomer.items) == len(walker.items) == 7
        for item in walker.items:
            assert item.title == TITLES[int(item.item_id[1:])]
        assert not {"i03", "i04"} & {item.item_id for item in walker.items}

    def test_unknown_item_names_the_nearest_titles(self, fitted: Recommender) -> None:
        with pytest.raises(UnknownItemError, match=r"Silent Orcherd 2.*did you mean.*'Silent Orchard 2'"):
            fitted.recommend([["Comet Harbour 1", "Silent Orcherd 2"]])

    @pytest.mark.parametrize("k", [0, -3, -(10**30), 2.5, 10.0, True, "10", None, float("nan")])
    def test_k_that_is_no_number_of_items_is_refused(self, fitted: Recommender, k: Any) -> None:
        for ask in (lambda: fitted.recommend([["i05"]], k=k), lambda: fitted.rank(HISTORIES, k)):
            with pytest.raises(ConfigError, match=r"k is .*; ask for a whole number of items"):
                ask()
        if k is not None:  # as many as the options say
            with pytest.raises(ConfigError, match="batch_size is"):
                fitted.rank(HISTORIES, batch_size=k)

    def test_only_and_exclude_are_honoured_and_k_are_given(self, fitted: Recommender) -> None:
        comedies = {"i00", "i06", "i12", "i18"}
        for ranking in fitted.recommend(
            [[], ["i04", "i05"]], k=3, only={"genres": "Comedy"}, exclude=["i06"]
        ):
            assert {item.item_id for item in ranking.items} == comedies - {"i06"}
        (ranking,) = fitted.recommend([["i05", "i06"]], k=10, only={"genres": "Comedy"})
        assert {item.item_id for item in ranking.items} == comedies - {"i06"}  # seen
        allowed = np.zeros(NUM_ITEMS, bool)
        assert fitted.recommend([["i05"]], k=10, only=allowed)[0].items == []

    @pytest.mark.parametrize("max_per", [{"year": 1}, {"year": 2, "genres": 6}, {"genres": 1}])
    def test_a_list_with_limits_is_the_head_of_the_ranking_that_keeps_to_them(
        self, fitted: Recommender, max_per: dict[str, int]
    ) -> None:
        full, found = fitted.rank(HISTORIES, NUM_ITEMS), fitted.rank(HISTORIES, 8, max_per=max_per)
        values_of = [
            [(name, value) for name in max_per for value in np.atleast_1d(row[name]).tolist() if value]
            for row in fitted.catalogue.table.iter_rows(named=True)
        ]
        for row in range(len(HISTORIES)):
            expected, taken = list[int](), list[tuple[str, Any]]()
            for item in full.items_BK[row][full.items_BK[row] >= 0].tolist():
                if all(taken.count(value) < max_per[value[0]] for value in values_of[item]):
                    taken += values_of[item]
                    expected.append(item)
            assert found.items_BK[row].tolist() == (expected + [-1] * 8)[:8]

    def test_each_history_may_have_a_mask_of_its_own(self, fitted: Recommender) -> None:
        own = np.arange(NUM_ITEMS) % np.arange(2, 2 + len(HISTORIES))[:, None] == 0
        found = fitted.rank(HISTORIES, 4, allowed=own)
        for row in np.arange(len(HISTORIES))[:, None]:
            assert_same(found.take(row), fitted.rank(HISTORIES.take(row), 4, allowed=own[row[0]]))

    def test_a_mask_of_another_length_is_refused(self, fitted: Recommender) -> None:
        with pytest.raises(ConfigError, match=f"{NUM_ITEMS + 1}"):
            fitted.rank(HISTORIES, allowed=np.ones(NUM_ITEMS + 1, bool))

    def test_removed_items_are_never_returned_but_may_stand_in_a_history(self, copy: Recommender) -> None:
        model = copy.remove_items(["i06", "Paper Tigers"])
        found = model.rank(HISTORIES, NUM_ITEMS)
        assert not np.isin(found.items_BK, [6, 12]).any()
        assert (found.items_BK[0] >= 0).sum() == NUM_ITEMS - 2

    def test_added_items_can_be_recommended_and_changed_ones_are_renamed(self, copy: Recommender) -> None:
        new = pl.DataFrame({"item_id": ["n1", "i06"], "title": ["Comet Harbour 7", "Renamed Orchard"]})
        model = copy.remove_items(["i06"]).add_items(new)  # a removed item that is added again comes back
        by_id = {item.item_id: item.title for item in model.recommend([["i05"]], k=NUM_ITEMS + 1)[0].items}
        assert by_id["n1"] == "Comet Harbour 7"
        assert by_id["i06"] == "Renamed Orchard"
        assert len(by_id) == NUM_ITEMS
        (after,) = model.recommend([["n1", "i05"]], k=5)  # and the new item may stand in a history
        assert len(after.items) == 5

    @pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
    def test_an_edit_that_breaks_off_changes_nothing(
        self, copy: Recommender, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
    ) -> None:
        """Whatever is raised, and though all the work was done already."""
        before, catalogue = copy.rank(HISTORIES, 10), copy.catalogue
        work = type(copy)._catalogue_changed

        def breaks_off(self: Recommender, trained: Catalogue) -> None:
            work(self, trained)
            if self is not copy and type(self) is type(copy):
                raise error

        new = pl.DataFrame({"item_id": ["n1", "i06"], "title": ["Comet Harbour 7", "Renamed Orchard"]})
        with monkeypatch.context() as patch:
            patch.setattr(type(copy), "_catalogue_changed", breaks_off)
            with pytest.raises(error):
                copy.add_items(new)
        assert copy.catalogue is catalogue
        assert_same(copy.rank(HISTORIES, 10), before)
        copy.add_items(new).add_items(pl.DataFrame({"item_id": ["i06"], "title": [TITLES[6]]})).remove_items(
            ["n1"]
        )
        assert copy.recommend([["i05"]], k=NUM_ITEMS)[0].items[0].item_id != "n1"

    def test_order_of_users_does_not_matter(self, fitted: Recommender) -> None:
        order = np.array([4, 1, 5, 0, 3, 2])
        assert_same(fitted.rank(HISTORIES.take(order), 10), fitted.rank(HISTORIES, 10).take(order))

    def test_batch_of_one_equals_batch_of_64(self, fitted: Recommender) -> None:
        walks = [[(start + step) % NUM_ITEMS for step in range(start % 9)] for start in range(64)]
        histories = Histories.from_lists(walks)
        calls: list[tuple[int, int]] = []
        single = fitted.rank(
            histories, 5, batch_size=1, progress=lambda done, total: calls.append((done, total))
        )
        assert_same(single, fitted.rank(histories, 5, batch_size=64))
        assert calls == [(done, 64) for done in range(1, 65)]

    def test_exact_lists_are_the_head_of_the_full_ranking(self, fitted: Recommender) -> None:
        full, head = fitted.rank(HISTORIES, NUM_ITEMS), fitted.rank(HISTORIES, 3, exact=True)
        assert head.exact_B.all()
        np.testing.assert_array_equal(head.items_BK, full.items_BK[:, :3])

    def test_certified_lists_are_the_true_ones(self, fitted: Recommender) -> None:
        found, exact = fitted.rank(HISTORIES, 5), fitted.rank(HISTORIES, 5, exact=True)
        np.testing.assert_array_equal(found.items_BK[found.exact_B], exact.items_BK[found.exact_B])

    def test_probabilities_are_a_distribution(self, fitted: Recommender) -> None:
        for ranking in fitted.recommend(
            [[], ["i05"], ["i03", "i04", "i05"]], k=NUM_ITEMS, exclude_seen=False
        ):
            found = [item.probability for item in ranking.items]
            if not fitted.probabilistic:
                assert found == [None] * NUM_ITEMS
                continue
            probabilities = np.array(found, dtype=float)
            assert ((probabilities > 0) & (probabilities <= 1)).all()
            assert (np.diff(probabilities) <= 0).all()
            assert probabilities.sum() <= 1 + 1e-4

    @_only(lambda contract, cls: cls._why is not Recommender._why and cls.name not in contract.weighing)
    def test_why_multiplies_to_the_probability_in_the_list(
        self, cls: type[Recommender], data: Interactions, tmp_path: Path
    ) -> None:
        """Also where it was trained in mixed precision, as it is when `fit` returns, and as it is loaded.

        A prior expects no item of the history, unless it is asked of one.
        """
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("genrec.recommenders.language.generative.full_precision", lambda: False)
            writer = create(cls.name, **(cls.tiny | {"bf16": True, "epochs": 4})).fit(data)
        again = load(writer.save(tmp_path / "saved"))
        for history in ([], ["i05"], ["i03", "i04", "i05"], ["i22", "i23", "i00", "i22"]):
            for model in (writer, again):
                whole, unseen = (
                    model.recommend([history], k=NUM_ITEMS, exclude_seen=seen, exact=True)[0].items
                    for seen in (False, True)
                )
                found = {item.item_id: item.probability for item in [*whole, *unseen]}
                assert len(whole) == len(found) == NUM_ITEMS
                for item_id, probability in found.items():
                    decisions = writer.why(history, item_id)
                    product = np.prod([chance for _, chance, *_ in decisions])
                    assert product == pytest.approx(probability, rel=1e-5, abs=1e-8)
                    assert decisions == again.why(history, item_id)

    def test_what_speaks_for_an_item_is_what_it_scores_less_without(
        self, cls: type[Recommender], fitted: Recommender
    ) -> None:
        for history in ([], ["i05"], ["i03", "i05", "i04", "i05"]):
            items = [item.item_id for item in fitted.recommend([history], k=3)[0].items]
            for item, reasons in zip(items, fitted.reasons(history, items), strict=True):
                effects = {reason.item_id: reason.effect for reason in reasons}
                assert set(effects) <= set(history)
                assert list(effects.values()) == sorted(effects.values(), reverse=True)
                assert all(effect > 0 for effect in effects.values())
                if cls._scores_of is not Recommender._scores_of:  # scores are among what else may be returned
                    continue
                rests = [[one for one in history if one != left_out] for left_out in dict.fromkeys(history)]
                whole, *others = (
                    {found.item_id: found.score for found in ranking.items}[item]
                    for ranking in fitted.recommend([history, *rests], k=NUM_ITEMS, exclude_seen=False)
                )
                for left_out, score in zip(dict.fromkeys(history), others, strict=True):
                    assert effects.get(left_out, 0) == pytest.approx(max(0, whole - score), abs=1e-4)
                alone = fitted.because(history, item)
                assert sorted(reason.item_id for reason in alone) == sorted(effects)

    def test_similar_items_are_the_list_after_one_item(self, fitted: Recommender) -> None:
        visitor, expected = fitted.recommend([[], ["i05"]], k=NUM_ITEMS, exclude=["i05"])
        if visitor.items == expected.items:
            with pytest.raises(ConfigError, match="nothing that is like 'Comet Harbour 6'"):
                fitted.similar_items("Comet Harbour 6")
            return
        found = fitted.similar_items("Comet Harbour 6", 3)
        assert [item.item_id for item in found.items] == [item.item_id for item in expected.items[:3]]
        (comedy,) = fitted.similar_items("i05", 1, only={"genres": "Comedy"}, exclude=["i00"]).items
        assert comedy.item_id in {"i06", "i12", "i18"}

    @_only(lambda contract, cls: cls.sequential)
    def test_learns_that_the_next_item_follows(self, fitted: Recommender) -> None:
        # A single item tells nothing but the direction: its two neighbours were taken with it equally often.
        walks = [
            [(start + step) % NUM_ITEMS for step in range(length)]
            for length in (1, 4)
            for start in range(NUM_ITEMS)
        ]
        found = fitted.rank(Histories.from_lists(walks), 1)
        np.testing.assert_array_equal(found.items_BK[:, 0], [(walk[-1] + 1) % NUM_ITEMS for walk in walks])


def assert_same(found: Rankings, expected: Rankings) -> None:
    np.testing.assert_array_equal(found.items_BK, expected.items_BK)
    np.testing.assert_allclose(found.scores_BK, expected.scores_BK, atol=1e-4)
