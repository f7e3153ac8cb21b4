import pytest

from iterpref.viewer.charts import metric_chart, rates_chart, short


def test_rates_span_the_plotted_area() -> None:
    chart = rates_chart({"debugging": [0.0, 0.5, 1.0]}, "repairs")
    (line,) = chart.series
    assert line.points == ((chart.left, chart.bottom), ((chart.left + chart.right) / 2, (chart.top + chart.bottom) / 2),
                           (chart.right, chart.top))  # fmt: skip
    assert [tick.text for tick in chart.y_ticks] == ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]
    assert [tick.text for tick in chart.x_ticks] == ["0", "1", "2"]
    assert line.label == "100.0\N{NO-BREAK SPACE}%"


@pytest.mark.parametrize(
    ("highest", "top"), [(0.0, "20 %"), (0.2, "40 %"), (0.61, "80 %"), (0.8, "100 %"), (1.0, "100 %")]
)
def test_axis_ends_above_the_highest_rate(highest: float, top: str) -> None:
    assert rates_chart({"a": [0.0, highest]}, "").y_ticks[-1].text == top


def test_labels_of_close_lines_don_t_overlap() -> None:
    chart = rates_chart({"a": [0.2, 0.5], "b": [0.1, 0.51]}, "")
    first, second = chart.series
    assert first.name == "a"
    assert first.label_y - second.label_y >= 38  # b ends higher, so its label stays and a's moves down
    assert second.label_y == second.end[1]


def test_one_iteration_is_a_chart_too() -> None:
    (line,) = rates_chart({"a": [0.4]}, "").series
    assert len(line.points) == 1


def test_metric_spans_its_values() -> None:
    chart = metric_chart("loss", [(1, 0.7), (5, 0.2), (9, 0.45)])
    xs = [x for x, _ in chart.series[0].points]
    ys = [y for _, y in chart.series[0].points]
    assert (xs[0], xs[-1]) == (chart.left, chart.right)
    assert min(ys) > chart.top and max(ys) < chart.bottom and ys[1] == max(ys)
    assert [tick.text for tick in chart.y_ticks] == ["0.2", "0.4", "0.6"]
    assert all(chart.top <= tick.position <= chart.bottom for tick in chart.y_ticks)
    assert [tick.text for tick in chart.x_ticks] == ["2", "4", "6", "8"]
    assert chart.x_ticks[1].position == pytest.approx(chart.left + (chart.right - chart.left) * 3 / 8)
    assert "from 0.7 to 0.45, lowest 0.2, highest 0.7" in chart.summary


def test_constant_metric_has_one_mark() -> None:
    chart = metric_chart("learning_rate", [(1, 3e-4), (2, 3e-4)])
    assert [tick.text for tick in chart.y_ticks] == ["3.0e−4"]
    assert [short(value) for value in (-0.5, 0, 1234.5)] == ["−0.5", "0", "1.23e+3"]


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [
        (-1250, -310, ["−1,200", "−1,000", "−800", "−600", "−400"]),
        (0.69, 0.6931, ["0.690", "0.691", "0.692", "0.693"]),
        (2e-6, 3e-4, ["0", "1.0e−4", "2.0e−4", "3.0e−4"]),
    ],
)
def test_marks_are_round_numbers(low: float, high: float, marks: list[str]) -> None:
    assert [tick.text for tick in metric_chart("m", [(1, low), (2, high)]).y_ticks] == marks


def test_a_long_curve_keeps_its_peaks_and_its_ends() -> None:
    points = [(float(step), 1.0 if step != 77_777 else 9.0) for step in range(100_000)]
    (line,) = metric_chart("loss", points).series
    assert len(line.points) <= 240
    assert (line.points[0][0], line.points[-1][0]) == (50.0, 266.0)
    assert sum(y < 60 for _, y in line.points) == 1
