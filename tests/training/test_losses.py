"""ArcFace against a computation by hand, over all angles."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")
pytest.importorskip("pytorch_metric_learning", reason="needs the extra train")

from training.config import Config  # noqa: E402
from training.errors import ConfigRefused  # noqa: E402
from training.losses import ArcFace, SpeciesHead, SubCenterArcFace, among, make_loss, margins  # noqa: E402

SCALE = 16.0


def at(degrees: float) -> list[float]:
    return [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]


def by_hand(degrees: float, margin: float) -> float:
    """Class 0 lies at 0 degrees, class 1 at 90; the label is 0."""
    angle = math.radians(degrees)
    target = math.cos(angle + margin) if angle + margin <= math.pi else math.cos(angle) - margin * math.sin(margin)
    other = math.cos(angle - math.pi / 2)
    return math.log1p(math.exp(SCALE * (other - target)))


@pytest.mark.parametrize("margin", [0.1, 0.35, 0.5])
def test_arcface_equals_hand_computation_from_0_to_180_degrees(margin: float) -> None:
    loss = ArcFace(torch.tensor([margin, 0.2]), embedding_size=2, scale=SCALE)
    loss.W.data = torch.tensor([at(0), at(90)]).T.contiguous()
    for degrees in range(1, 180):  # at 0 and 180 themselves the cosine is held off 1 by a millionth, 0.08 degrees
        given = loss(torch.tensor([at(degrees)], dtype=torch.float64), torch.tensor([0]))
        assert given.item() == pytest.approx(by_hand(degrees, margin), rel=2e-4, abs=1e-5), degrees


def test_gradient_is_finite_at_both_ends_and_loss_rises_between() -> None:
    loss = ArcFace(torch.tensor([0.4, 0.2]), embedding_size=2, scale=SCALE)
    loss.W.data = torch.tensor([at(0), at(180)]).T.contiguous()
    values: list[float] = []
    for degrees in (0, 45, 90, 135, 180):
        embedding = torch.tensor([at(degrees)], dtype=torch.float64, requires_grad=True)
        value = loss(embedding, torch.tensor([0]))
        value.backward()
        assert embedding.grad is not None
        assert torch.isfinite(embedding.grad).all()
        values.append(value.item())
    assert values[0] < values[1] < values[2] < values[3]


def test_each_photo_has_the_margin_of_its_own_individual() -> None:
    loss = ArcFace(torch.tensor([0.5, 0.1]), embedding_size=2, scale=SCALE, reducer=_each())
    loss.W.data = torch.tensor([at(0), at(90)]).T.contiguous()
    both = loss(torch.tensor([at(30), at(60)]), torch.tensor([0, 1]))
    assert both.tolist() == pytest.approx([by_hand(30, 0.5), by_hand(30, 0.1)], rel=1e-4)


def test_sub_center_takes_the_nearest_of_its_centers() -> None:
    loss = SubCenterArcFace(torch.tensor([0.3, 0.3]), embedding_size=2, scale=SCALE, sub_centers=2)
    loss.W.data = torch.tensor([at(180), at(0), at(270), at(90)]).T.contiguous()  # two of class 0, then two of class 1
    assert loss(torch.tensor([at(20)]), torch.tensor([0])).item() == pytest.approx(by_hand(20, 0.3), rel=1e-4)


def test_rivals_alone_are_what_a_photo_is_told_from() -> None:
    loss = ArcFace(torch.tensor([0.3, 0.3, 0.3]), embedding_size=2, scale=SCALE)
    loss.W.data = torch.tensor([at(0), at(90), at(30)]).T.contiguous()
    photo, label = torch.tensor([at(20)], dtype=torch.float64), torch.tensor([0])
    everyone, two = torch.tensor([[True, True, True]]), torch.tensor([[True, True, False]])
    assert among(loss, photo, label, everyone).item() == pytest.approx(loss(photo, label).item(), rel=1e-6)
    assert among(loss, photo, label, two).item() == pytest.approx(by_hand(20, 0.3), rel=1e-5)


def test_parts_tell_the_individuals_each_by_itself() -> None:
    loss = make_loss(Config(dimension=8, bands=2, scale=SCALE, margin=(0.0, 0.0, 0.3)), [3, 3])
    whole, above, below = loss.parts
    assert [part.W.shape[0] for part in loss.parts] == [4, 2, 2]
    for part, turned in ((above, 0), (below, 10)):
        part.W.data = torch.tensor([at(turned), at(90 + turned)]).T.contiguous()
    whole.W.data = torch.zeros(4, 2, dtype=torch.float64)
    whole.W.data[0, 0] = whole.W.data[1, 1] = 1
    photo = torch.tensor([[2 * at(40)[0], 2 * at(40)[1], 0, 0, *at(20), *(3 * one for one in at(30))]], dtype=torch.float64)
    bands = (by_hand(20, 0.3) + by_hand(20, 0.3)) / 2
    assert loss(photo, torch.tensor([0])).item() == pytest.approx((by_hand(40, 0.3) + bands) / 2, rel=1e-4)


def test_margin_falls_with_photos_by_the_rule() -> None:
    given = margins([1, 10, 100], (0.271, 0.364, 0.05)).tolist()
    assert given == pytest.approx([0.321, 0.271 * 10**-0.364 + 0.05, 0.271 * 100**-0.364 + 0.05])


def test_softmax_is_scaled_cosine_cross_entropy() -> None:
    loss = make_loss(Config(loss="softmax", dimension=2, scale=SCALE), [3, 3])
    loss.W.data = torch.tensor([at(0), at(90)]).T.contiguous()
    assert loss(torch.tensor([at(20)], dtype=torch.float64), torch.tensor([0])).item() == pytest.approx(
        by_hand(20, 0.0), rel=1e-4
    )


def _each() -> object:
    from pytorch_metric_learning.reducers import DoNothingReducer

    class Each(DoNothingReducer):  # type: ignore[misc]
        def forward(self, loss_dict: dict[str, dict[str, object]], *_args: object) -> object:
            return loss_dict["loss"]["losses"]

    return Each()


def test_species_head_asks_only_photos_whose_species_is_known() -> None:
    torch.manual_seed(0)
    head = SpeciesHead(["orca", None, "beluga", None], 4)
    embeddings = torch.randn(4, 4)
    told = head.tell(torch.nn.functional.normalize(embeddings))[[0, 2]]
    by_hand = -torch.log_softmax(told, dim=1)[[0, 1], [1, 0]].mean()
    assert head(embeddings, [0, 1, 2, 3]).item() == pytest.approx(by_hand.item(), abs=1e-6)
    assert head(embeddings, [1, 3, 1, 3]).item() == 0
    with pytest.raises(ConfigRefused, match="name 1: expected two or more"):
        SpeciesHead(["orca", "orca"], 4)
