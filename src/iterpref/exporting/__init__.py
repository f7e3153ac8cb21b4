"""Kept pairs → files that other trainers read, with a dataset card, on disk and on the Hugging Face hub."""

from iterpref.exporting.card import dataset_card
from iterpref.exporting.formats import FORMATS, ExportFormat, format_named
from iterpref.exporting.hub import push_to_hub
from iterpref.exporting.place import CARD_FILE, DATA_FILE, begins_with, check_file
from iterpref.exporting.write import Export, export_calls, export_pairs, export_trajectories, write_export

__all__ = [
    "CARD_FILE",
    "DATA_FILE",
    "FORMATS",
    "Export",
    "ExportFormat",
    "begins_with",
    "check_file",
    "dataset_card",
    "export_calls",
    "export_pairs",
    "export_trajectories",
    "format_named",
    "push_to_hub",
    "write_export",
]
