import numpy as np
import pytest

from runner.figures.scales import SettingScale, log_scale_serves, scale_spread
from runner.figures.style import axes_at, page

NAN = float("nan")


@pytest.mark.parametrize(
    ("losses", "serves"),
    [
        ([1.0, 0.5, 0.1], False),
        ([1.0, 0.1, 0.001], True),
        ([1.0, 0.0], False),
        ([1.0, 0.001, 0.0], True),
        ([0.0, 0.0], False),
        ([1.0, -0.001, 0.001], False),
        ([], False),
    ],
)
def test_a_log_scale_is_taken_only_where_it_serves(losses: list[float], serves: bool) -> None:
    assert log_scale_serves(np.array(losses, dtype=np.float64)) is serves


@pytest.mark.parametrize(
    ("settings", "geometric"),
    [
        ([0.001, 0.01, 0.1], True),
        ([0.001, 0.003, 0.01, 0.03, 0.1], True),
        ([8.0, 16.0, 32.0, 64.0, 128.0], True),
        ([0.0, 1e-5, 1e-4, 1e-3], True),
        ([1.0, 2.0, 4.0, 8.0], False),  # no decade
        ([1.0, 11.0, 21.0], False),  # evenly spaced
        ([float(epochs) for epochs in range(1, 101)], False),
        ([0.0, 0.5, 0.9, 0.99], False),
        ([-1.0, 0.001, 1.0], False),
        ([0.0, 1.0], False),
    ],
)
def test_settings_stand_by_their_exponents_where_these_were_swept(
    settings: list[float], geometric: bool
) -> None:
    assert SettingScale(np.array(settings)).geometric is geometric


def test_settings_drawn_evenly_between_two_ends_stand_by_themselves() -> None:
    drawn = np.sort(np.random.default_rng(0).uniform(0.001, 0.6, 100))
    assert not SettingScale(drawn).geometric
    assert SettingScale(10 ** (drawn * 8)).geometric


def test_zero_stands_a_step_below_the_smallest() -> None:
    settings = np.array([0.0, 1e-5, 1e-4, 1e-3])
    places = SettingScale(settings).place(settings)
    np.testing.assert_allclose(places, [-6, -5, -4, -3])


@pytest.mark.parametrize(
    "settings",
    [
        [1e8, 1e8 + 1e-3],
        [-1e150, 1e150],
        [1e-150, 1e150],
        [0.0, 1e-149, 1.0, 1e3],
        [0.1234567, 0.1234568, 0.1234569],
        [float(value) for value in range(1000)],
        [10.0 ** (value / 100) for value in range(500)],
    ],
)
def test_any_settings_are_labelled_inside_the_axes(settings: list[float]) -> None:
    axes = axes_at(page(6.0, 4.0), 1.0, 1.0, 4.0, 2.0)
    scale = SettingScale(np.array(settings))
    scale.label(axes, 4.0)
    left, right = axes.get_xlim()
    places = scale.place(np.array(settings))
    assert left < places[0] < places[-1] < right
    (labels,) = axes.collections
    x = np.asarray(labels.get_offsets())[:, 0]
    assert 2 <= len(x) <= 12
    assert ((left <= x) & (x <= right)).all()


@pytest.mark.parametrize(
    ("means", "ends", "limits"),
    [
        # Margins are 6 % of what is seen.
        ([10.0, 11.0], [9.5, 11.5], (9.38, 11.62)),
        # An interval that is far longer than the means are apart is followed by their distance.
        ([10.0, 11.0], [-1000.0, 1000.0], (8.82, 12.18)),
        ([10.0], [9.0, 11.0], (8.88, 11.12)),
        ([10.0, 11.0], [NAN, NAN], (9.94, 11.06)),
    ],
)
def test_a_scale_follows_intervals_as_far_as_means_reach(
    means: list[float], ends: list[float], limits: tuple[float, float]
) -> None:
    axes = axes_at(page(6.0, 4.0), 1.0, 1.0, 4.0, 2.0)
    scale_spread(axes, np.array(means), np.array(ends), "loss")
    assert axes.get_ylim() == pytest.approx(limits)


def test_a_loss_of_zero_is_not_lost_on_a_logarithmic_scale() -> None:
    axes = axes_at(page(6.0, 4.0), 1.0, 1.0, 4.0, 2.0)
    scale_spread(axes, np.array([0.0, 0.001, 1.0]), np.array([]), "loss")
    assert (axes.get_yscale(), axes.get_ylim()[0]) == ("linear", 0.0)
