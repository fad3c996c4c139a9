"""The table of a sweep for a paper or a page: Markdown, or LaTeX with the rules of booktabs."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from runner.system.formatting import measured
from runner.system.text import on_one_line
from runner.training.outcome import Outcome, best_first, varying_settings
from runner.training.statistics import configurations, ranked

_LATEX = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
}


def paper_table(
    outcomes: Sequence[Outcome], metrics: Sequence[str], top: int | None, form: str
) -> list[str]:
    """Return the lines of a table: each configuration's settings, and the mean of each metric.

    The best of several is bold, by each metric, and so is what prints alike; they are ranked by the
    first, whose ``n`` is told where it is not one. ``±`` is half the width of the 95 % interval.
    """
    shown = ranked([c for c in configurations(outcomes) if c.outcomes], metrics[0])[:top]
    names = varying_settings([configuration.varied for configuration in shown])
    write = _latex if form == "latex" else markdown_text
    columns = [[write(c.varied.get(key, "")) for c in shown] for key in names]
    header = [*map(write, names.values())]
    for metric in metrics:
        summaries = {n: summary for n, c in enumerate(shown) if (summary := c.summary(metric))}
        texts = {n: measured(metric, s.mean, s.half_width) for n, s in summaries.items()}
        means = {n: summary.mean for n, summary in summaries.items()}
        best = best_first(means, metric, means.get)[:1]
        bold = {texts[n][0] for n in best if len(shown) > 1 and not math.isnan(means[n])}
        cells = {n: _cell(*text, is_best=text[0] in bold, form=form) for n, text in texts.items()}
        columns.append([cells.get(n, "") for n in range(len(shown))])
        header.append(write(metric))
        if metric == metrics[0] and any(summary.n > 1 for summary in summaries.values()):
            columns.append(
                [f"{summaries[n].n if n in summaries else 0}" for n in range(len(shown))]
            )
            header.append("n")
    rows = list(zip(*columns, strict=True))
    if form == "markdown":
        return markdown_table(header, rows, n_texts=len(names))
    return [
        rf"\begin{{tabular}}{{{'l' * len(names)}{'r' * (len(header) - len(names))}}}",
        r"\toprule",
        rf"{' & '.join(header)} \\",
        r"\midrule",
        *(rf"{' & '.join(row)} \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], n_texts: int) -> list[str]:
    """Return the lines of a table whose first columns are texts, and the others numbers."""
    rule = [*["---"] * n_texts, *["---:"] * (len(header) - n_texts)]
    return [f"| {' | '.join(row)} |" for row in (header, rule, *rows)]


def _cell(mean: str, half: str, *, is_best: bool, form: str) -> str:
    if form == "markdown":
        text = f"{mean} ± {half}" if half else mean
        return f"**{text}**" if is_best else text
    mean, half = (re.sub(r"e([+-])0*(\d+)", r" \\times 10^{\1\2}", part) for part in (mean, half))
    text = rf"{mean} \pm {half}" if half else mean
    return rf"$\mathbf{{{text}}}$" if is_best else f"${text}$"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in on_one_line(text))


def markdown_text(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return re.sub(r"([\\`*|<>\[\]])", r"\\\1", on_one_line(text))
