"""Readers of untrusted files, which neither run code, nor hang, nor take unbounded memory.

Every function refuses bad input in one sentence; `error` is the class of the exception, a `BridgeError`.
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
