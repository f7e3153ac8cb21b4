"""Why is one way to train better than another? Models are measured, not only scored; figures decide among reasons.

The grid (grids/reasons.yaml) has the arms, rule.py the reasons with what has to be found for each, measured.py what is
measured of a model, figures.py the figures, tables.py and charts.py what is shown of them.
"""
