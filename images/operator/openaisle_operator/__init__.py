"""The operator: for each OPTModel it makes the objects that the chart makes for an entry of `models`."""

__version__ = "0.2.0"
