"""Applications may use the same ids without meeting each other."""

import re
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from panoreel.contracts.identifiers import PUBLIC_TASK_ID_PATTERN, TASK_ID_PATTERN, public, scoped

public_ids = st.from_regex(PUBLIC_TASK_ID_PATTERN, fullmatch=True)


@given(st.text(max_size=64), public_ids)
def test_a_public_id_is_found_again_in_the_one_of_the_log(application: str, public_id: str) -> None:
    task_id = scoped(application, public_id)
    assert re.fullmatch(TASK_ID_PATTERN, task_id)
    assert public(application, task_id) == public_id


def test_ids_of_different_applications_differ() -> None:
    ids = [scoped(application, name) for application, name in product(("a", "b"), ("lesson", "1"))]
    assert len(set(ids)) == 4


def test_without_applications_the_ids_are_the_same() -> None:
    assert scoped("", "lesson") == "lesson"
