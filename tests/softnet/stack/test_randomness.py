from __future__ import annotations

import numpy as np
import pytest

from softnet import STREAMS, stream
from softnet.stack.randomness import Noise

# The first two draws of seeds 0, 12345 and one beyond 64 bits. These numbers are part of every
# result ever recorded: if this test fails, recorded runs can no longer be repeated.
FIRST_DRAWS = {
    "init": {
        0: [8697063857760222071, 2917695245530671819],
        12345: [8024323073597710422, 5173221881267657626],
        2**70: [4274873140072674449, 4009561947098093977],
    },
    "batches": {
        0: [6246038554070098266, 2241157181836120544],
        12345: [3477906780984928438, 6359953358406655182],
    },
    "dropout": {
        0: [7731686665370224177, 772221737696659868],
        12345: [1303624608265980290, 1947681106205598056],
    },
}


def test_every_stream_draws_the_numbers_it_always_drew() -> None:
    assert set(FIRST_DRAWS) == set(STREAMS)
    drawn = {
        name: {seed: stream(seed, name).integers(2**63, size=2).tolist() for seed in seeds}
        for name, seeds in FIRST_DRAWS.items()
    }
    assert drawn == FIRST_DRAWS


def test_no_two_streams_share_a_number() -> None:
    assert len(set(STREAMS.values())) == len(STREAMS)


def test_streams_and_seeds_are_independent() -> None:
    draws = np.array(
        [stream(seed, name).standard_normal(2000) for seed in (0, 1, 2) for name in STREAMS]
    )
    correlations = np.corrcoef(draws) - np.eye(len(draws))
    # Of independent samples a correlation has a standard deviation of 1/sqrt(2000) = 0.022.
    assert np.abs(correlations).max() < 5 / np.sqrt(2000)


def test_drawing_leaves_the_global_generator_alone() -> None:
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002 (the global one is what is asked)
    stream(0, "init").standard_normal(10)
    assert np.random.get_state()[1].tobytes() == before  # noqa: NPY002


def test_an_unknown_stream_is_refused_by_name() -> None:
    with pytest.raises(KeyError, match="weather"):
        stream(0, "weather")


def words(seed: int, n: int) -> np.ndarray:
    """Return four 16-bit numbers of each 64-bit word, the lowest first."""
    raw = stream(seed, "dropout").bit_generator.random_raw(n)
    return np.array([[int(word) >> shift & 0xFFFF for shift in (0, 16, 32, 48)] for word in raw])


def test_noise_cuts_each_runs_stream_into_numbers_whatever_is_asked_for_at_a_time() -> None:
    noise, expected = Noise([3, 4]), [words(3, 4000), words(4, 4000)]
    position = 0
    for n in (1, 4, 5, 2100, 9000, 3):
        numbers = noise.numbers(n)
        for run in range(2):
            taken = expected[run][position:].ravel()[:n]
            assert numbers[run].tolist() == taken.tolist()
        position += -(-n // 4)  # what is left of a word is not used
        assert noise.n_words == position


def test_noise_goes_on_from_any_word_with_the_runs_that_are_left() -> None:
    noise = Noise([3, 4, 5])
    noise.numbers(10)
    noise.keep(np.array([0, 2]))
    later = Noise([3, 5])
    later.go_to(noise.n_words)
    assert noise.numbers(99).tolist() == later.numbers(99).tolist()


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="non-negative"):
        stream(-1, "init")
