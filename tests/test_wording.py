"""Numbers and names as people read them."""

import pytest

from zoo.wording import shortened, told_apart


def test_a_long_name_is_cut_in_its_middle() -> None:
    assert shortened("cat", 3) == "cat"
    assert shortened("caterpillar", 7) == "cat…lar"
    for letters in range(3, 30):
        assert len(shortened("the quick brown fox", letters)) <= letters


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["cat", "dog"], ["cat", "dog"]),
        (["class number 01 of many", "class number 02 of many"], ["…01…", "…02…"]),
        (["n01_cat_photo", "n01_dog_photo"], ["…cat…", "…dog…"]),
        (["abcdefghijklm", "abcdefghijkln"], ["abcde…jklm", "abcde…jkln"]),  # within a word
        (["a dog", "a dog with a name"], ["…dog", "…dog…name"]),
        (["x" * 40], ["xxxxx…xxxx"]),
        ([], []),
    ],
)
def test_what_names_share_is_left_out_where_they_are_long(
    names: list[str], labels: list[str]
) -> None:
    assert told_apart(names, 10) == labels
