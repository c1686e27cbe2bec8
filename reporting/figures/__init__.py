"""One short function per chart: plain lists in, a Plotly figure out that says its finding.

Every function takes ``language`` (``"en"`` or ``"zh"``), ``theme`` (``"light"`` or ``"dark"``) and an optional
``title``, in place of the one it composes from the data. Empty data gives a figure that says so.
"""

from reporting.figures.canvas import chart_config, chart_csv, template
from reporting.figures.course import bad_rate_by_period, metric_over_time, psi_over_time
from reporting.figures.economics import limit_by_approval, net_by_approval
from reporting.figures.explanation import dependence, dependence_by_category, importance_bars, reason_waterfall
from reporting.figures.funnel import feature_funnel
from reporting.figures.leaning import shares_over_time
from reporting.figures.lineage import LineageNode, lineage_graph
from reporting.figures.performance import bad_rate_by_decile, calibration_curve, roc_with_ks, score_distribution
from reporting.figures.quality import quality_history, quality_matrix
from reporting.figures.rejects import reject_effect, reject_shares
from reporting.figures.scorecard import bin_evidence
from reporting.figures.segments import capture_curve, intervals_by_segment, rates_by_grade
from reporting.figures.stability import feature_drift_compare, missing_rates, psi_bars
from reporting.figures.structure import tables_graph
from reporting.figures.traffic import latency_over_time, requests_over_time
from reporting.figures.tuning import trials_progress
from reporting.figures.vintage import roll_matrix, vintage_curves

__all__ = [
    "LineageNode",
    "bad_rate_by_decile",
    "bad_rate_by_period",
    "bin_evidence",
    "calibration_curve",
    "capture_curve",
    "chart_config",
    "chart_csv",
    "dependence",
    "dependence_by_category",
    "feature_drift_compare",
    "feature_funnel",
    "importance_bars",
    "intervals_by_segment",
    "latency_over_time",
    "limit_by_approval",
    "lineage_graph",
    "metric_over_time",
    "missing_rates",
    "net_by_approval",
    "psi_bars",
    "psi_over_time",
    "quality_history",
    "quality_matrix",
    "rates_by_grade",
    "reason_waterfall",
    "reject_effect",
    "reject_shares",
    "requests_over_time",
    "roc_with_ks",
    "roll_matrix",
    "score_distribution",
    "shares_over_time",
    "tables_graph",
    "template",
    "trials_progress",
    "vintage_curves",
]
