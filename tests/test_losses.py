"""Every loss against a plain enumeration on five vectors."""

from typing import get_args

import numpy as np
import pytest
import torch
from pytorch_metric_learning import distances, losses, miners, reducers

from ssrnet.errors import SettingsError
from ssrnet.losses import FEATURE_LOSSES, LossSettings, MetricName, ReIDLoss
from ssrnet.studies.definitions import LOSSES

# Not of unit length, so a loss that normalises gives other numbers.
X = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0], [6.0, 0.0], [6.0, 0.3]])
LABELS = [0, 0, 0, 1, 1]


def vectors():
    return torch.tensor(X, dtype=torch.float32), torch.tensor(LABELS)


def batch_hard(margin: float, x=X, labels=LABELS) -> list[float]:
    """The term of each anchor that has a positive and a negative, zeros included."""
    terms = []
    for a in range(len(x)):
        positive = [np.linalg.norm(x[a] - x[i]) for i in range(len(x)) if labels[i] == labels[a] and i != a]
        negative = [np.linalg.norm(x[a] - x[i]) for i in range(len(x)) if labels[i] != labels[a]]
        if positive and negative:
            terms.append(max(0.0, max(positive) - min(negative) + margin))
    return terms


def cosines(x=X) -> np.ndarray:
    unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    return unit @ unit.T


def unit_distances(x=X) -> np.ndarray:
    unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    return np.linalg.norm(unit[:, None] - unit[None], axis=2)


@pytest.mark.parametrize("margin", [0.5, 0.0, 3.0])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_triplet_is_equation_6_over_all_anchors(margin, reduction):
    terms = batch_hard(margin)
    assert len(terms) == 5
    if margin == 0.5:
        assert terms == pytest.approx([0, 5 - np.hypot(3, 3.7) + 0.5, 0, 0, 0])
        assert 0 in terms and max(terms) > 0  # the mean below counts the zeros
    loss = FEATURE_LOSSES["triplet"](LossSettings(margin=margin, reduction=reduction))
    assert loss(*vectors()).item() == pytest.approx(getattr(np, reduction)(terms), rel=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_triplet_is_the_librarys_miner_and_loss_to_the_bit(seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(8).repeat_interleave(4)
    euclidean = distances.LpDistance(normalize_embeddings=False, p=2)
    theirs = losses.TripletMarginLoss(0.5, distance=euclidean, reducer=reducers.MeanReducer())
    rows = torch.randn(32, 16, generator=generator)
    gradients = []
    for compute in (
        FEATURE_LOSSES["triplet"](LossSettings()),
        lambda x, y: theirs(x, y, miners.BatchHardMiner(distance=euclidean)(x, y)),
    ):
        x = rows.clone().requires_grad_()
        loss = compute(x, labels)
        loss.backward()
        gradients.append((loss.detach(), x.grad))
    (ours, our_gradient), (expected, gradient) = gradients
    assert torch.equal(ours, expected) and ours > 0
    assert torch.allclose(our_gradient, gradient, rtol=1e-5, atol=1e-8)


def test_triplet_skips_an_anchor_without_a_positive():
    x, labels = vectors()
    labels[4] = 2
    terms = batch_hard(0.5, labels=labels.tolist())
    assert len(terms) == 3
    assert FEATURE_LOSSES["triplet"](LossSettings(reduction="sum"))(x, labels).item() == pytest.approx(sum(terms))


def test_triplet_of_equal_vectors_is_the_margin_and_has_a_finite_gradient():
    x = torch.ones(4, 3, requires_grad=True)
    loss = FEATURE_LOSSES["triplet"](LossSettings())(x, torch.tensor([0, 0, 1, 1]))
    loss.backward()
    assert loss.item() == pytest.approx(0.5) and torch.isfinite(x.grad).all()


def cross_entropy(logits: np.ndarray, labels: list[int], smoothing: float) -> float:
    total = 0.0
    for row, label in zip(logits, labels):
        logp = row - np.log(np.exp(row).sum())
        target = np.full(len(row), smoothing / len(row))
        target[label] += 1 - smoothing
        total -= (target * logp).sum()
    return total / len(labels)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_is_equation_5(smoothing):
    logits = np.random.default_rng(0).normal(size=(5, 3))
    x, labels = vectors()
    loss = ReIDLoss(LossSettings(metric="none", label_smoothing=smoothing))
    objective = loss({"G": x}, {"G": torch.tensor(logits)}, labels)
    assert objective.total.item() == pytest.approx(cross_entropy(logits, LABELS, smoothing), rel=1e-6)
    assert list(objective.terms) == ["cross_entropy/G"]


def circle(m=0.4, gamma=80) -> list[float]:
    s, terms = cosines(), []
    for a in range(5):
        positives = [s[a, i] for i in range(5) if LABELS[i] == LABELS[a] and i != a]
        negatives = [s[a, i] for i in range(5) if LABELS[i] != LABELS[a]]
        p = [-gamma * max(0, 1 + m - x) * (x - (1 - m)) for x in positives]
        n = [gamma * max(0, x + m) * (x - m) for x in negatives]
        terms.append(np.logaddexp(0, np.logaddexp.reduce(p) + np.logaddexp.reduce(n)))
    return terms


def instance(gamma=64) -> list[float]:
    """Softmax over the cosines to all images of the batch; the target is the image itself."""
    s = gamma * cosines()
    return [np.logaddexp.reduce(s[a]) - s[a, a] for a in range(5)]


def lifted() -> list[float]:
    """One term an ordered positive pair; distances of unit vectors."""
    d, terms = unit_distances(), []
    for a in range(5):
        for p in range(5):
            if a != p and LABELS[a] == LABELS[p]:
                negatives = [1 - d[k, n] for k in (a, p) for n in range(5) if LABELS[n] != LABELS[k]]
                terms.append(max(0, np.logaddexp.reduce(negatives) + d[a, p]) ** 2 / 2)
    return terms


@pytest.mark.parametrize(("name", "terms"), [("circle", circle), ("instance", instance), ("lifted", lifted)])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_other_metric_losses_by_hand(name, terms, reduction):
    loss = FEATURE_LOSSES[name](LossSettings(reduction=reduction))
    assert loss(*vectors()).item() == pytest.approx(getattr(np, reduction)(terms()), rel=1e-4)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_contrastive_by_hand(reduction):
    d, same = unit_distances(), np.equal.outer(LABELS, LABELS)
    reduce = getattr(np, reduction)
    expected = reduce(d[same & ~np.eye(5, dtype=bool)]) + reduce(np.maximum(0, 1 - d[~same]))
    loss = FEATURE_LOSSES["contrastive"](LossSettings(reduction=reduction))
    assert loss(*vectors()).item() == pytest.approx(expected, rel=1e-5)


def test_circle_over_classes_by_hand():
    """Every cosine with a classifier is a pair: one positive an image, the other classes its negatives."""
    s, (m, gamma) = np.array([[0.9, 0.2, -0.3], [0.1, 0.6, 0.5], [0.4, 0.0, 0.7]]), (0.25, 64)
    terms = []
    for row, label in zip(s, (0, 1, 1)):
        p = -gamma * max(0, 1 + m - row[label]) * (row[label] - (1 - m))
        n = [gamma * max(0, x + m) * (x - m) for j, x in enumerate(row) if j != label]
        terms.append(np.logaddexp(0, p + np.logaddexp.reduce(n)))
    for reduction in ("mean", "sum"):
        settings = LossSettings(
            "circle", "none", reduction=reduction, circle_level="class", circle_margin=m, circle_scale=gamma
        )
        assert settings.trains_classifiers and not settings.needs_pairs and settings.title == "circle"
        objective = ReIDLoss(settings)({"G": torch.zeros(3, 4)}, {"G": torch.tensor(s)}, torch.tensor([0, 1, 1]))
        assert objective.total.item() == pytest.approx(getattr(np, reduction)(terms), rel=1e-5)


def test_circles_margin_and_scale_are_settings():
    x, labels = vectors()
    loss = FEATURE_LOSSES["circle"](LossSettings(circle_margin=0.25, circle_scale=128))
    assert loss(x, labels).item() == pytest.approx(np.mean(circle(0.25, 128)), rel=1e-4)


@pytest.mark.parametrize("name", ["contrastive", "lifted"])
def test_pairs_as_they_are_or_of_unit_length(name):
    x, labels = vectors()
    unit, plain = (FEATURE_LOSSES[name](LossSettings(normalise_pairs=normalise)) for normalise in (True, False))
    normalised = torch.nn.functional.normalize(x)
    assert plain(normalised, labels).item() == pytest.approx(unit(x, labels).item(), rel=1e-5)
    assert plain(x, labels).item() != pytest.approx(unit(x, labels).item(), rel=1e-2)


def test_instance_loss_over_vehicles_by_hand():
    """Softmax over the cosines to the other images; the targets are those of the vehicle, on average."""
    s, terms = 64 * cosines(), []
    for a in range(5):
        others = [i for i in range(5) if i != a]
        log = {i: s[a, i] - np.logaddexp.reduce(s[a, others]) for i in others}
        terms.append(-np.mean([log[i] for i in others if LABELS[i] == LABELS[a]]))
    settings = LossSettings(metric="instance", instance_classes="vehicle")
    assert FEATURE_LOSSES["instance"](settings)(*vectors()).item() == pytest.approx(np.mean(terms), rel=1e-4)
    assert settings.needs_pairs


def test_instance_loss_does_not_read_the_labels():
    x, labels = vectors()
    loss = FEATURE_LOSSES["instance"](LossSettings())
    assert loss(x, labels) == loss(x, torch.zeros_like(labels))


BRANCHES = ("G", "attn", "token")


def branches(seed=0, classes=4):
    generator = torch.Generator().manual_seed(seed)
    features = {b: torch.randn(8, 6, generator=generator).requires_grad_() for b in BRANCHES}
    logits = {b: torch.randn(8, classes, generator=generator).requires_grad_() for b in BRANCHES}
    return features, logits, torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])


def test_every_metric_that_can_be_chosen_is_built():
    assert set(get_args(MetricName)) == {"none", *FEATURE_LOSSES}
    for name in FEATURE_LOSSES:
        assert list(ReIDLoss(LossSettings("cross_entropy", name)).on_features) == [name]


@pytest.mark.parametrize("row", LOSSES)
def test_every_row_of_table_6_is_finite_and_has_gradients(row):
    features, logits, labels = branches()
    settings = LossSettings(*LOSSES[row])
    objective = ReIDLoss(settings)(features, logits, labels)
    objective.total.backward()
    assert torch.isfinite(objective.total) and objective.total > 0
    terms = [name for name in LOSSES[row] if name != "none"]
    assert settings.title == "+".join(terms) and settings.trains_classifiers == ("cross_entropy" in terms)
    assert settings.needs_pairs == (row not in ("Cross-Entropy", "Cross-Entropy + Instance"))
    assert set(objective.terms) == {f"{term}/{branch}" for term in terms for branch in BRANCHES}
    assert not any(term.requires_grad for term in objective.terms.values())
    for branch in BRANCHES:
        assert (logits[branch].grad is not None) == ("cross_entropy" in terms)
        assert (features[branch].grad is not None) == (terms != ["cross_entropy"])
        for tensor in (features[branch], logits[branch]):
            assert tensor.grad is None or (torch.isfinite(tensor.grad).all() and tensor.grad.any())


@pytest.mark.parametrize("beta", [0.0, 1.0, 0.25])
def test_beta_weighs_the_metric_terms_of_equation_7(beta):
    features, logits, labels = branches()
    total, terms = ReIDLoss(LossSettings(beta=beta))(features, logits, labels)
    expected = sum(terms[f"cross_entropy/{b}"] + beta * terms[f"triplet/{b}"] for b in BRANCHES)
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)
    for b in BRANCHES:
        assert terms[f"triplet/{b}"].item() == pytest.approx(
            np.mean(batch_hard(0.5, features[b].detach().numpy(), labels.tolist())), rel=1e-5
        )


def test_in_circle_plus_triplet_beta_weighs_the_second():
    features, logits, labels = branches()
    total, terms = ReIDLoss(LossSettings("circle", beta=2))(features, logits, labels)
    assert total.item() == pytest.approx(sum(terms[f"circle/{b}"] + 2 * terms[f"triplet/{b}"] for b in BRANCHES).item())


def test_branch_weights_scale_both_terms_but_not_what_is_reported():
    features, logits, labels = branches()
    weights = {"G": 1.0, "attn": 0.5, "token": 0.0}
    total, terms = ReIDLoss()(features, logits, labels, weights)
    assert total.item() == pytest.approx(
        sum(weights[b] * (terms[f"cross_entropy/{b}"] + terms[f"triplet/{b}"]) for b in BRANCHES).item(), rel=1e-6
    )
    assert terms.keys() == ReIDLoss()(features, logits, labels).terms.keys()


def test_the_defaults_are_the_papers():
    settings = LossSettings()
    assert (settings.classification, settings.metric) == ("cross_entropy", "triplet")
    assert (settings.margin, settings.beta, settings.label_smoothing) == (0.5, 1, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"metric": "instances"},
            "metric is 'instances'; choose one of none, triplet, circle, contrastive, lifted, ins",
        ),
        ({"metric": "cross_entropy"}, "metric is 'cross_entropy'; choose one of none"),
        ({"classification": "none"}, "classification is 'none'; choose one of cross_entropy, circle"),
        ({"classification": "circle", "metric": "circle"}, "classification and metric are both circle; set one of"),
        ({"beta": -1}, "beta is -1; give a number of at least 0"),
        ({"beta": float("nan")}, "beta is nan; give a number of at least 0"),
        ({"margin": -0.5}, "margin is -0.5; give a number of at least 0"),
        ({"reduction": "average"}, "reduction is 'average'; choose one of mean, sum"),
        ({"circle_level": "image"}, "circle_level is 'image'; choose one of pair, class"),
        ({"circle_scale": -1}, "circle_scale is -1; give a number of at least 0"),
        ({"instance_classes": "x"}, "instance_classes is 'x'; choose one of image, vehicle"),
        ({"metric": "circle", "circle_level": "class"}, "circle is the metric loss; .*: set classification to circle"),
        ({"label_smoothing": 1}, r"label_smoothing is 1; it must lie in \[0, 1\)"),
        ({"label_smoothing": -0.1}, "label_smoothing is -0.1"),
    ],
)
def test_settings_that_cannot_work(changes, message):
    with pytest.raises(SettingsError, match=message):
        LossSettings(**changes)
