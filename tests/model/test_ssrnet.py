import numpy as np
import pytest
import torch

from ssrnet.errors import SettingsError
from ssrnet.model import TABLE_1, EmbeddingSettings
from ssrnet.model.graph import node_names
from ssrnet.model.regions import pool_regions, region_boxes
from tests import tiny

BRANCHES = {
    "GB": ("G",),
    "+AB": ("G", "attn"),
    "+RB (w/o GN)": ("G", "token"),
    "+RB (w/o token)": ("G", "token"),
    "+RB": ("G", "token"),
    "+AB+RB (w/o GN)": ("G", "attn", "token"),
    "+AB+RB": ("G", "attn", "token"),
}


@torch.no_grad()
@pytest.mark.parametrize("row", TABLE_1)
def test_the_rows_of_table_1(row):
    model = tiny.network(num_classes=5, **TABLE_1[row])
    trace = model.trace(tiny.images())
    assert model.branches == tuple(trace.before) == tuple(trace.after) == BRANCHES[row]
    assert trace.embedding().shape == (2, 512 * len(BRANCHES[row]))
    assert (trace.M_s is not None) == ("attn" in BRANCHES[row])
    if "token" in BRANCHES[row]:
        names = node_names("w/o GN" not in row, "w/o token" not in row)
        assert trace.nodes == names and trace.A.shape == (len(names),) * 2
        assert len(trace.boxes) == 5 and [h.shape[1] for h in trace.H] == [len(names)] * 3
        readout = names.index("global" if "w/o token" in row else "token")
        assert torch.equal(trace.f_token, trace.H[-1][:, readout])
    else:
        assert trace.nodes == trace.boxes == trace.H == () and trace.A is trace.f_token is trace.crop_ratio is None
    before, logits = model(tiny.images())
    assert {branch: tuple(logit.shape) for branch, logit in logits.items()} == dict.fromkeys(BRANCHES[row], (2, 5))
    assert all(torch.equal(before[branch], trace.before[branch]) for branch in BRANCHES[row])


@torch.no_grad()
@pytest.mark.parametrize("attention", ["cbam", "se", "bilinear", "stn", "none"])
def test_every_attention_of_table_2(attention):
    trace = tiny.network(attention=attention).trace(tiny.images())
    assert trace.f_attn.shape == (2, 512) and trace.F_attn.shape == trace.F_G.shape == (2, 512, 4, 4)
    assert (trace.M_c is not None) == (attention in ("cbam", "se"))
    assert (trace.M_s is not None) == (attention == "cbam")
    assert (trace.theta is not None) == (attention == "stn")
    if attention in ("cbam", "se"):
        assert trace.M_c.min() > 0 and trace.M_c.max() < 1
        assert not torch.equal(trace.F_attn, trace.F_G)
    else:
        assert torch.equal(trace.F_attn, trace.F_G)


@torch.no_grad()
def test_attention_belongs_to_the_attention_branch():
    with_branch, without = tiny.network(), tiny.network(attention_branch=False)
    names = {name for name in with_branch.state_dict() if "attention" in name}
    assert names and not {name for name in without.state_dict() if "attention" in name}
    trace = without.trace(tiny.images())
    assert torch.equal(trace.F_attn, trace.F_G)


@torch.no_grad()
def test_pcb_takes_the_relation_branchs_place():
    model = tiny.network(parts="pcb", num_classes=5)
    trace = model.trace(tiny.images(size=96))  # F_attn is 6x6, so a stripe is a row
    parts = [f"part{i}" for i in range(1, 7)]
    assert model.branches == ("G", "attn", *parts)
    assert trace.embedding().shape == (2, 512 + 512 + 6 * 256) and trace.boxes == ()
    for i, part in enumerate(parts):
        expected = model.stripes.reduce[i](trace.F_attn[:, :, i].mean(2))
        assert torch.allclose(trace.before[part], expected, atol=1e-5)
    assert sum(model.branch_weights[part] for part in parts) == pytest.approx(1)
    assert model.branch_weights["G"] == model.branch_weights["attn"] == 1


@torch.no_grad()
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_every_depth_of_table_4(depth):
    trace = tiny.network(gcn_depth=depth).trace(tiny.images())
    assert [h.shape for h in trace.H] == [(2, 7, 512)] * (depth + 1)
    assert torch.equal(trace.f_token, trace.H[depth][:, 6])


@torch.no_grad()
def test_the_trace_holds_what_the_paper_names():
    model = tiny.network()
    trace = model.trace(tiny.images(), crop_ratio=0.5)
    assert torch.allclose(trace.f_G, trace.F_G.mean((2, 3)))
    assert torch.allclose(trace.H[0][:, 0], trace.f_G)
    assert trace.boxes == region_boxes(4, 4, 0.5) and trace.crop_ratio == 0.5
    for i, local in enumerate(pool_regions(trace.F_attn, trace.boxes), start=1):
        assert torch.equal(trace.H[0][:, i], local)  # the regions are of F_attn, not of F_G
    assert torch.equal(trace.H[0][0, 6], model.graph.token[0])
    x = torch.relu(model.attention_head.bn(model.attention_head.conv(trace.F_attn))).mean((2, 3))
    assert torch.allclose(trace.f_attn, model.attention_head.fc(x), atol=1e-5)


@torch.no_grad()
def test_the_global_node_comes_from_before_or_after_the_neck():
    before, after = tiny.network(num_classes=5), tiny.network(num_classes=5, global_node_from="after")
    x = tiny.images()
    a, b = before.trace(x), after.trace(x)
    assert torch.equal(a.H[0][:, 0], a.f_G) and torch.equal(b.H[0][:, 0], b.after["G"])
    assert torch.equal(a.H[0][:, 1:], b.H[0][:, 1:]) and not torch.allclose(a.f_token, b.f_token)
    assert torch.equal(a.f_G, b.f_G) and torch.equal(a.after["G"], b.after["G"])
    for model in (before, after):  # the neck sees each batch once
        counted = model.train().necks["G"].num_batches_tracked.clone()
        model(x)
        assert model.necks["G"].num_batches_tracked == counted + 1


@torch.no_grad()
def test_cosine_logits_are_those_of_the_features_after_the_neck_and_the_classifiers():
    model = tiny.network(num_classes=5)
    model.cosine_logits = True
    _, logits = model(tiny.images())
    trace = model.trace(tiny.images())
    for branch, classifier in model.classifiers.items():
        expected = torch.nn.functional.cosine_similarity(trace.after[branch][:, None], classifier.weight[None], dim=2)
        assert torch.allclose(logits[branch], expected, atol=1e-5)


@torch.no_grad()
def test_the_neck_is_batch_norm_without_shift():
    model = tiny.network()
    trace = model.trace(tiny.images())
    for branch, neck in model.necks.items():
        mean, var = neck.running_mean.numpy(), neck.running_var.numpy()
        expected = (trace.before[branch].numpy() - mean) / np.sqrt(var + neck.eps)
        assert np.allclose(trace.after[branch], expected, atol=1e-4)
        assert not neck.bias.requires_grad and neck.weight.requires_grad


@torch.no_grad()
@pytest.mark.parametrize("ratio", [None, 0.25, 0.5, 2 / 3, 0.9, 1])
def test_another_ratio_recomputes_only_the_head(ratio):
    model = tiny.network()
    calls = []
    model.backbone.register_forward_hook(lambda *_: calls.append(1))
    x = tiny.images()
    cached = model.feature_map(x)
    for warm_up in (0.3, 0.8, ratio):
        trace = model.head(cached, warm_up)
    assert len(calls) == 1
    whole = model.trace(x, ratio)
    assert len(calls) == 2
    assert trace.boxes == whole.boxes and trace.crop_ratio == whole.crop_ratio == (ratio or 2 / 3)
    assert all(torch.equal(a, b) for a, b in zip(trace.H, whole.H, strict=True))
    assert torch.equal(trace.embedding(), whole.embedding())


@torch.no_grad()
def test_the_ratio_reaches_the_token_and_nothing_else():
    model = tiny.network()
    cached = model.feature_map(tiny.images())
    a, b = model.head(cached, 0.5), model.head(cached, 1)
    assert torch.equal(a.f_G, b.f_G) and torch.equal(a.f_attn, b.f_attn)
    assert not torch.allclose(a.f_token, b.f_token)


@torch.no_grad()
@pytest.mark.parametrize(("ratio", "message"), [(0, "lie in"), (1.2, "lie in"), (0.2, "no cell of a 4x4")])
def test_a_ratio_that_cannot_be(ratio, message):
    model = tiny.network()
    with pytest.raises(SettingsError, match=message):
        model.head(model.feature_map(tiny.images()), ratio)


@torch.no_grad()
def test_another_adjacency_is_used_and_kept_in_the_trace():
    model = tiny.network()
    cached = model.feature_map(tiny.images())
    A = model.graph.A.clone()
    A[3], A[:, 3] = 0, 0
    cut = model.head(cached, A=A)
    assert torch.equal(cut.A, A) and not torch.allclose(cut.f_token, model.head(cached).f_token)


@torch.no_grad()
def test_the_spatial_transformer_starts_as_no_transformer():
    warping = tiny.network(attention="stn")
    plain = tiny.network(attention="none")
    plain.load_state_dict({k: v for k, v in warping.state_dict().items() if not k.startswith("transformer.")})
    x = tiny.images()
    assert torch.allclose(warping.trace(x).embedding(), plain.trace(x).embedding(), rtol=1e-3, atol=1e-3)
    warping.transformer.affine.bias[2] = 0.7
    assert not torch.allclose(warping.trace(x).embedding(), plain.trace(x).embedding(), rtol=0.05, atol=0.05)


@torch.no_grad()
def test_the_smallest_useful_image_and_one_that_is_too_small():
    model = tiny.network()
    assert model.trace(tiny.images(size=32)).boxes[0] == (0, 0, 1, 1)
    with pytest.raises(SettingsError, match="no cell of a 1x1 feature map"):
        model.trace(tiny.images(size=16))


@torch.no_grad()
def test_branches_of_the_embedding_are_the_columns_of_the_whole():
    trace = tiny.network().trace(tiny.images())
    whole = trace.embedding()
    assert torch.equal(trace.embedding(EmbeddingSettings(branches=("attn",))), whole[:, 512:1024])


def test_all_that_is_trained_gets_a_gradient():
    model = tiny.network(num_classes=5).train()
    before, logits = model(tiny.images(4))
    (sum(x.square().mean() for x in before.values()) + sum(x.square().mean() for x in logits.values())).backward()
    still = [name for name, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert not still
