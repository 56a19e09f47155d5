"""How far a pull is, from the messages that engines really send."""

from hypothesis import given
from hypothesis import strategies as st

from engine.compute.docker.progress import PullProgress


def downloading(layer: str, current: int, total: int) -> dict[str, object]:
    return {"id": layer, "status": "Downloading", "progressDetail": {"current": current, "total": total}}


def progress_of(*messages: dict[str, object]) -> PullProgress:
    progress = PullProgress()
    for message in messages:
        progress.take(message)
    return progress


def test_layers_and_bytes_add_up():
    progress = progress_of(
        {"status": "Pulling from library/python", "id": "3.11"},
        {"status": "Pulling fs layer", "progressDetail": {}, "id": "a"},
        {"status": "Pulling fs layer", "progressDetail": {}, "id": "b"},
        {"status": "Already exists", "progressDetail": {}, "id": "c"},
        downloading("a", 1_000_000, 4_000_000),
        downloading("b", 2_000_000, 2_000_000),
        {"status": "Verifying Checksum", "progressDetail": {}, "id": "b"},
    )

    assert (progress.now.done, progress.now.total) == (3_000_000, 6_000_000)
    assert progress.now.text == "3.0 of 6.0 MB, 1 of 3 layers"


def test_extracting_is_not_counted_as_downloading_again():
    progress = progress_of(
        downloading("a", 500_000, 4_000_000),
        {"status": "Download complete", "progressDetail": {}, "id": "a"},
        {"status": "Extracting", "progressDetail": {"current": 1, "total": 9_000_000}, "id": "a"},
    )
    assert (progress.now.done, progress.now.total) == (4_000_000, 4_000_000)
    assert progress.layers == (0, 1)

    progress.take({"status": "Pull complete", "progressDetail": {}, "id": "a"})
    assert progress.now.text == "4.0 of 4.0 MB, 1 of 1 layers"


def test_nothing_known_is_said_without_bytes():
    assert PullProgress().now.text == "0 of 0 layers"
    assert progress_of({"status": "Waiting", "id": "a"}).now.text == "0 of 1 layers"


def test_messages_about_no_layer_are_no_layers():
    progress = progress_of(
        {"status": "Pulling from library/python", "id": "3.11"},
        {"status": "Digest: sha256:1234"},
        {"status": "Status: Downloaded newer image for python:3.11"},
        {"stream": "x"},
        {},
    )

    assert progress.layers == (0, 0)


STATUSES = ["Pulling fs layer", "Waiting", "Downloading", "Verifying Checksum", "Download complete", "Extracting"]


@given(
    st.lists(
        st.builds(
            lambda layer, status, current, total: {
                "id": layer,
                "status": status,
                "progressDetail": {"current": current, "total": max(current, total)},
            },
            st.sampled_from("abc"),
            st.sampled_from([*STATUSES, "Pull complete", "Already exists"]),
            st.integers(0, 10**9),
            st.integers(0, 10**9),
        )
    )
)
def test_it_never_says_more_than_all(messages):
    now = progress_of(*messages).now

    assert 0 <= now.done <= now.total
