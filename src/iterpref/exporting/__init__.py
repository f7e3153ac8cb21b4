"""Kept pairs → files that other trainers read, with a dataset card, on disk and on the Hugging Face hub."""

from iterpref.exporting.card import dataset_card
from iterpref.exporting.formats import FORMATS, Format
from iterpref.exporting.hub import push_to_hub
from iterpref.exporting.trajectories import export_trajectories
from iterpref.exporting.write import write_export

__all__ = ["FORMATS", "Format", "dataset_card", "export_trajectories", "push_to_hub", "write_export"]
