from dataclasses import replace

from ssrnet.analysis.scorecard.markdown import render
from ssrnet.analysis.scorecard.scorecard import ScoredModel
from tests.analysis.scorecard import toys

EXPECTED = """\
### toys, cross_camera

20 queries of 7 vehicles (and 3 without a match, which do not count) search a gallery of 1,234 images; not counted: \
same vehicle and same camera.

| %                        |            rank-1 |            rank-5 |           rank-10 |               mAP |\
              mINP |
| :----------------------- | ----------------: | ----------------: | ----------------: | ----------------: |\
 ----------------: |
| Baseline (GB)            | 50.0 [46.0, 54.0] | 51.0 [47.0, 55.0] | 52.0 [48.0, 56.0] | 53.0 [49.0, 57.0] |\
 54.0 [50.0, 58.0] |
| SSR-Net (GB+AB+RB)       | 60.0 [56.0, 64.0] | 61.0 [57.0, 65.0] | 62.0 [58.0, 66.0] | 63.0 [59.0, 67.0] |\
 64.0 [60.0, 68.0] |
| ↳ attention branch alone | 55.0 [51.0, 59.0] | 56.0 [52.0, 60.0] | 57.0 [53.0, 61.0] | 58.0 [54.0, 62.0] |\
 59.0 [55.0, 63.0] |
| ↳ part1 branch alone     | 40.0 [36.0, 44.0] | 41.0 [37.0, 45.0] | 42.0 [38.0, 46.0] | 43.0 [39.0, 47.0] |\
 44.0 [40.0, 48.0] |
| difference               | −3.0 [−7.0, +1.0] | −2.0 [−6.0, +2.0] | −1.0 [−5.0, +3.0] |  0.0 [−4.0, +4.0] |\
 +1.0 [−3.0, +5.0] |

The same gallery, queries by `group` (with: 20 queries of 7 vehicles; without: 1 query of 1 vehicle).

| %                        |      with: rank-1 |         with: mAP |   without: rank-1 |      without: mAP |
| :----------------------- | ----------------: | ----------------: | ----------------: | ----------------: |
| Baseline (GB)            | 50.0 [46.0, 54.0] | 53.0 [49.0, 57.0] | 50.0 [46.0, 54.0] | 53.0 [49.0, 57.0] |
"""


def test_tables_can_be_read_rendered_or_not():
    text = render(toys.scorecard())
    assert text.startswith(EXPECTED)
    assert text.endswith("\n") and "\n\n\n" not in text
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({len(line) for line in block.splitlines()}) == 1  # columns stand below each other


def test_at_most_three_slices_stand_abreast():
    heads = [line.split("|")[2:-1] for line in render(toys.scorecard()).splitlines() if line.startswith("| %")]
    assert [[cell.strip() for cell in head] for head in heads[2:4]] == [
        ["bus: rank-1", "bus: mAP", "car: rank-1", "car: mAP", "truck: rank-1", "truck: mAP"],
        ["van: rank-1", "van: mAP"],
    ]


def test_shot_protocols_have_deviations_and_say_what_is_drawn():
    text = render(toys.scorecard()).partition("### toys, multi_gallery_shot\n\n")[2]
    assert text.startswith(
        "20 to 22 queries of 7 vehicles search a gallery of 30 images, 6 images a vehicle drawn at random; "
        "mean ± standard deviation over 2 such galleries. 2 vehicles with too few images are left out.\n"
    )
    assert "| 60.0 ± 2.0 [56.0, 64.0] |" in text and "| −3.0 ± 2.0 [−7.0, +1.0] |" in text


def test_it_says_how_to_read_it_which_models_these_are_and_what_is_missing():
    text = render(toys.scorecard())
    assert "In brackets: 95% bootstrap intervals from 2,000 draws of the query vehicles, with" in text
    assert "The difference is SSR-Net (GB+AB+RB) − Baseline (GB) in percentage points" in text
    assert "- Baseline (GB): `b.safetensors`, SHA-256 0123456789abcdef…; 64 px, flip test off, features after " in text
    assert "- Not measured: single_gallery_shot (no vehicle has two images)." in text
    assert "- Not measured: multi_gallery_shot, queries type van (no such query has a match in the gallery)." in text


def test_cut_images_and_untrained_backbones_are_named():
    features = toys.FEATURES | {"model": "untrained resnet18 (backbone: random weights; stride on conv2)"}
    models = (ScoredModel("Untrained resnet18", features), *toys.scorecard().models)
    text = render(replace(toys.scorecard(), images="type=bus", models=models, left_out=()))
    assert "### toys (type=bus), cross_camera\n" in text and "Not measured" not in text
    assert "- Untrained resnet18 (backbone: random weights; stride on conv2): 64 px" in text


def test_aligned_models_and_several_differences_are_named():
    plain = toys.scorecard()
    camera = plain.protocols[0]
    whole = camera.slices[0]
    title = "SSR-Net (GB+AB+RB), aligned"
    record = whole.rows[0].record | {"camera_alignment": "each feature minus its camera's mean; 3 cameras"}
    rows = (*whole.rows, replace(whole.rows[1], model=title, record=record))
    pairs = (*plain.differences, ("SSR-Net (GB+AB+RB)", title))
    slices = (replace(whole, rows=rows, differences=whole.differences * 2),)
    text = render(replace(plain, protocols=(replace(camera, slices=slices),), differences=pairs))
    assert f"| {title} " in text and "| difference" not in text
    assert "| SSR-Net (GB+AB+RB) − Baseline (GB) " in text and f"| {title} − SSR-Net (GB+AB+RB) " in text
    assert "A difference is in percentage points" in text
    assert text.endswith("- Aligned: each feature minus its camera's mean; 3 cameras.\n\n" + text.split("\n\n")[-1])
