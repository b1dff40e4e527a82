# SPDX-License-Identifier: MIT
"""Histograms as a picture: how many samples lasted how long, the count on a log scale.

Matplotlib is imported when something is drawn; only hosts that draw need it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from serial_runtime.cli.timings import BINS
from serial_runtime.errors import ConfigError
from serial_runtime.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from serial_runtime.cli.timings import Figures

_FORMATS = (".png", ".svg", ".pdf")
_WIDTH_IN, _PANEL_IN, _DPI = 9.0, 2.7, 72  # a few ten kilobytes


class Curve(NamedTuple):
    """One histogram, up to the last bin that is not 0."""

    label: str
    figures: Figures
    bins: Sequence[int]


class Panel(NamedTuple):
    """Histograms of the same thing, above each other."""

    title: str
    curves: Sequence[Curve]


def check(path: str) -> None:
    """ConfigError: nothing can be drawn into this file. Before anything is measured for it."""
    import importlib.util

    if os.path.splitext(path)[1].lower() not in _FORMATS:
        raise ConfigError(f"{path!r}: a plot's name ends with {', '.join(_FORMATS)}")
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise ConfigError(f"{path!r}: there is no folder {folder!r}")
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigError(
            "plots need matplotlib on this computer: pip install 'serial-runtime[plot]'"
        )


def _legend(curve: Curve) -> str:
    f = curve.figures
    text = (
        f"{curve.label}: min {f.min_ns / 1000:.1f}, average {f.avg_ns / 1000:.1f}, "
        f"p99.99 {f.p9999_ns / 1000:.1f}, max {f.max_ns / 1000:.1f} us"
    )
    beyond = f", {f.overflow} beyond {BINS * f.bin_ns // 1000} us" if f.overflow else ""
    return text + beyond


def draw(path: str, title: str, panels: Sequence[Panel]) -> None:
    """Write the picture. OSError."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [panel for panel in panels if panel.curves]
    figure = Figure(
        figsize=(_WIDTH_IN, 0.6 + _PANEL_IN * max(1, len(shown))), dpi=_DPI, layout="constrained"
    )
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=10)
    for number, panel in enumerate(shown, 1):
        axes = figure.add_subplot(len(shown), 1, number)
        for curve in panel.curves:
            width_us = curve.figures.bin_ns / 1000
            edges = [n * width_us for n in range(len(curve.bins) + 1)]
            axes.stairs(curve.bins, edges, label=_legend(curve), linewidth=0.8)
        axes.set_yscale("symlog", linthresh=1)  # so that a single sample is seen
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        axes.set_xlabel(f"{panel.title}, us", fontsize=8)
        axes.set_ylabel("samples", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(visible=True, linewidth=0.3)
        axes.legend(fontsize=7, loc="upper right")
    figure.savefig(path)
