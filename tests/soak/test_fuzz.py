"""The short form: some examples of each target, always the same, and those that once broke something."""

import pytest
from hypothesis import HealthCheck, given, settings

from tests.soak import fuzz
from tests.soak.fuzzing import Target, opens_or_says_why_not

EXAMPLES = 120


@pytest.mark.parametrize("target", fuzz.TARGETS, ids=[target.check.__name__ for target in fuzz.TARGETS])
def test_returns_or_says_why_not(target):
    test = settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )(given(target.inputs)(target.check))
    test()


def test_each_part_has_targets():
    assert {target.part for target in fuzz.TARGETS} == set(fuzz.PARTS)


def test_what_a_reader_raises_is_found(tmp_path):
    def breaks(drawn):
        opens_or_says_why_not(lambda: [][drawn[0]])

    target = Target("names", breaks, fuzz.TARGETS[0].inputs)
    tried, failure = fuzz._round(target, tmp_path, 0)
    assert tried and "IndexError" in failure and "drawn=[]" in failure
