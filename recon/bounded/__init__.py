"""Reading what strangers wrote: one door for each kind, none of which runs code, hangs, or takes memory unbounded.

Every function refuses in one sentence; `error` is the class of it, a `BridgeError`.
"""

from recon.bounded.arrays import read_arrays
from recon.bounded.budget import check_memory, check_pixels
from recon.bounded.files import check_regular_file, is_inside, parse_path, read_bytes, read_stream, read_text
from recon.bounded.numbers import LONGEST_NUMBER, parse_integer, parse_number, parse_numbers
from recon.bounded.parsed import decode_json, parse_json, read_csv, read_json
from recon.bounded.tensors import open_safetensors

__all__ = [
    "LONGEST_NUMBER",
    "check_memory",
    "check_pixels",
    "check_regular_file",
    "decode_json",
    "is_inside",
    "open_safetensors",
    "parse_integer",
    "parse_json",
    "parse_number",
    "parse_numbers",
    "parse_path",
    "read_arrays",
    "read_bytes",
    "read_csv",
    "read_json",
    "read_stream",
    "read_text",
]
