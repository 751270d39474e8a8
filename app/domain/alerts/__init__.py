"""Alerts: what is wrong with the installation, told by rules over its own metrics.

`series` is what rules look at, `expressions` how a condition is written, `evaluation` whether it holds, `rules` the
list of all of them, `prometheus` the same for a Prometheus, `alert` what a rule says when its condition holds.
"""
