from ssrnet.training.run_panels import panels
from ssrnet.training.runs import read_run
from tests.training.test_runs import line, make


def test_common_curves_come_first_then_loss_terms_by_branch_then_health(run):
    drawn = panels([read_run(run.out)])
    titles = [panel.title for panel in drawn]
    common = ["Loss", "Held-back mAP", "Held-back rank-1", "Training accuracy", "Learning rate", "Images per second"]
    assert titles[:8] == [*common, "Loss: cross entropy", "Loss: triplet"]
    assert list(drawn[7].curves.values()) == ["G", "attn", "token"]
    assert titles[8] == "Attention health" and "images" not in drawn[8].curves.values()


def test_a_number_that_this_version_does_not_know_is_drawn_too(tmp_path):
    run = read_run(make(tmp_path / "a", [line(1, loader_share=0.25)]))
    assert panels([run])[-1].title == "Loader share" and list(panels([run])[-1].curves) == ["loader_share"]


def test_without_an_epoch_there_is_no_curve(tmp_path):
    assert panels([read_run(make(tmp_path / "a", []))]) == []
