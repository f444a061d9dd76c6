from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from matching.ranking import Evidence, rank
from vector_db.port import Neighbour

scores = st.floats(-1, 1).map(lambda x: round(x, 2))  # ties are wanted
neighbours = st.dictionaries(st.integers(1, 40), scores, max_size=25).map(lambda d: [Neighbour(i, s) for i, s in d.items()])
ownership = st.fixed_dictionaries({i: st.integers(0, 8) for i in range(1, 33)})  # 33 to 40 are nobody's


def test_the_best_cosine_speaks_for_an_individual_and_all_its_sightings_are_kept() -> None:
    ranked = rank([Neighbour(1, 0.5), Neighbour(2, 0.9), Neighbour(3, 0.7), Neighbour(4, 0.8)], {1: 10, 2: 10, 3: 20}, photo=2)
    assert [(r.individual_id, r.score) for r in ranked] == [(10, 0.9), (20, 0.7)]
    assert ranked[0].evidence == (Evidence(2, 2, 0.9), Evidence(2, 1, 0.5))


@given(neighbours, ownership, st.randoms())
def test_the_order_of_neighbours_changes_nothing(found: list[Neighbour], owner: dict[int, int], random: object) -> None:
    mixed = found[:]
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert rank(mixed, owner) == rank(found, owner)


@given(neighbours, ownership)
def test_it_agrees_with_brute_force(found: list[Neighbour], owner: dict[int, int]) -> None:
    best = {i: max(n.score for n in found if owner.get(n.id) == i) for i in {owner[n.id] for n in found if n.id in owner}}
    ranked = rank(found, owner)
    assert {r.individual_id: r.score for r in ranked} == best
    assert [r.score for r in ranked] == sorted(best.values(), reverse=True)
    assert sorted(e.sighting_id for r in ranked for e in r.evidence) == sorted(n.id for n in found if n.id in owner)


@given(neighbours, ownership, st.integers(0, 8), st.integers(0, 8))
def test_merging_two_individuals_lowers_nobody_and_joins_their_evidence(
    found: list[Neighbour], owner: dict[int, int], kept: int, gone: int
) -> None:
    before = {r.individual_id: r for r in rank(found, owner)}
    after = {r.individual_id: r for r in rank(found, {s: kept if i == gone else i for s, i in owner.items()})}
    for individual, ranked in before.items():
        heir = after[kept if individual == gone else individual]
        assert heir.score >= ranked.score
        assert set(ranked.evidence) <= set(heir.evidence)
