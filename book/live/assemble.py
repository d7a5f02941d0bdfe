"""The two loops in which the page's network spends its time, as WebAssembly.

    python book/live/assemble.py

writes loops.js beside this file, with wasmtime from tests/requirements.in. The loops are given in
WebAssembly's text format; repetition is left to Python. All addresses and pitches are in bytes, all
numbers float32, four to a vector.
"""

from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path

from wasmtime import wat2wasm

ROWS = 4  # of the product: a tile of 4 x 8 numbers stays in registers
LANES = 8
UNROLL = 4
VECTORS = 4  # of the depthwise convolution: 16 channels at a time
LIMITS = """
    (local.set $low (f32x4.splat (local.get $lo)))
    (local.set $high (f32x4.splat (local.get $hi)))"""


def declared(kind: str, type_: str, names: str | Iterable[str]) -> str:
    """Declare parameters or locals of one type."""
    names = names.split() if isinstance(names, str) else names
    return " ".join(f"({kind} ${name} {type_})" for name in names)


def joined(instructions: Iterable[str]) -> str:
    return "".join(instructions)


def load(pointer: str, offset: int) -> str:
    return f"(v128.load offset={offset} align=4 (local.get ${pointer}))"


def advanced(pointer: str, by: int | str) -> str:
    """Add bytes, or those that a local holds, to a pointer."""
    amount = f"(i32.const {by})" if isinstance(by, int) else f"(local.get ${by})"
    return f"(local.set ${pointer} (i32.add (local.get ${pointer}) {amount}))"


def repeated(loop: str, counter: str, by: int) -> str:
    """Return to the start of a loop until its counter is used up."""
    rest = f"(i32.sub (local.get ${counter}) (i32.const {by}))"
    return f"(br_if ${loop} (local.tee ${counter} {rest}))"


def multiplied(sum_: str, one: str, other: str) -> str:
    """Add a product of two vectors to a sum."""
    return f"(local.set ${sum_} (f32x4.add (local.get ${sum_}) (f32x4.mul {one} {other})))"


def stored(sums: list[tuple[str, str, int]]) -> str:
    """Store sums at (pointer, offset): clamped; or, as gradients, where what is there now lies
    inside the clamp, and 0 elsewhere."""
    gated = joined(
        f"""
        (v128.store offset={offset} align=4 (local.get ${pointer})
          (v128.and (local.get ${sum_}) (v128.and
            (f32x4.gt (local.tee $old {load(pointer, offset)}) (local.get $low))
            (f32x4.lt (local.get $old) (local.get $high)))))"""
        for sum_, pointer, offset in sums
    )
    clamped = joined(
        f"""
        (v128.store offset={offset} align=4 (local.get ${pointer})
          (f32x4.min (f32x4.max (local.get ${sum_}) (local.get $low)) (local.get $high)))"""
        for sum_, pointer, offset in sums
    )
    return f"(if (local.get $gate) (then {gated}) (else {clamped}))"


def product() -> str:
    """y = x w + bias: x (rows, inner), w in blocks of (inner, 8) for 8 columns of y each, y (rows,
    columns). Rows come in fours, columns in eights, the inner length in fours."""
    rows = range(ROWS)
    tile = [(row, half) for row in rows for half in range(LANES // 4)]
    next_rows = joined(
        f"""
        (local.set ${name}{row} (i32.add (local.get ${name}{row - 1}) (local.get ${name}pitch)))"""
        for name in "xy"
        for row in rows[1:]
    )
    inner = joined(
        f"""
          (local.set $b0 {load("q", 32 * step)})
          (local.set $b1 {load("q", 32 * step + 16)})"""
        + joined(
            f"""
          (local.set $s (v128.load32_splat offset={4 * step} (local.get $x{row})))
          {multiplied(f"a{row}0", "(local.get $s)", "(local.get $b0)")}
          {multiplied(f"a{row}1", "(local.get $s)", "(local.get $b1)")}"""
            for row in rows
        )
        for step in range(UNROLL)
    )
    return f"""
  (func (export "product")
    {declared("param", "i32", "x w bias y rows inner columns gate")}
    {declared("param", "f32", "lo hi")}
    {declared("local", "i32", "xpitch ypitch remaining stop q x0 x1 x2 x3 y0 y1 y2 y3")}
    {declared("local", "v128", [f"a{row}{half}" for row, half in tile])}
    {declared("local", "v128", "b0 b1 s low high old")}
    {LIMITS}
    (local.set $xpitch (i32.mul (local.get $inner) (i32.const 4)))
    (local.set $ypitch (i32.mul (local.get $columns) (i32.const 4)))
    (loop $blocks
      (local.set $remaining (local.get $rows))
      (local.set $x0 (local.get $x))
      (local.set $y0 (local.get $y))
      (loop $tiles {next_rows}
        (local.set $stop (i32.add (local.get $x0) (local.get $xpitch)))
        (local.set $q (local.get $w))
        {joined(f"(local.set $a{row}{half} {load('bias', 16 * half)})" for row, half in tile)}
        (loop $inner {inner}
          {advanced("q", 32 * UNROLL)}
          {joined(advanced(f"x{row}", 4 * UNROLL) for row in rows)}
          (br_if $inner (i32.lt_u (local.get $x0) (local.get $stop))))
        {stored([(f"a{row}{half}", f"y{row}", 16 * half) for row, half in tile])}
        (local.set $x0 (local.get $x{ROWS - 1}))
        (local.set $y0 (i32.add (local.get $y{ROWS - 1}) (local.get $ypitch)))
        {repeated("tiles", "remaining", ROWS)})
      (local.set $w (local.get $q))
      {advanced("bias", 4 * LANES)}
      {advanced("y", 4 * LANES)}
      {repeated("blocks", "columns", LANES)}))"""


def taps() -> str:
    """One pixel of a depthwise convolution: y = sum of x w over a window of rows and columns, plus
    bias, for each channel. Channels come in sixteens."""
    vectors = range(VECTORS)
    sums = joined(multiplied(f"a{v}", load("xp", 16 * v), load("wp", 16 * v)) for v in vectors)
    return f"""
  (func (export "taps")
    {declared("param", "i32", "x w bias y channels rows columns xrow xcolumn wrow wcolumn gate")}
    {declared("param", "f32", "lo hi")}
    {declared("local", "i32", "i j xr wr xp wp")}
    {declared("local", "v128", [*(f"a{v}" for v in vectors), "low", "high", "old"])}
    {LIMITS}
    (loop $channels
      {joined(f"(local.set $a{v} {load('bias', 16 * v)})" for v in vectors)}
      (local.set $xr (local.get $x))
      (local.set $wr (local.get $w))
      (local.set $i (local.get $rows))
      (loop $rows
        (local.set $xp (local.get $xr))
        (local.set $wp (local.get $wr))
        (local.set $j (local.get $columns))
        (loop $columns
          {sums}
          {advanced("xp", "xcolumn")}
          {advanced("wp", "wcolumn")}
          {repeated("columns", "j", 1)})
        {advanced("xr", "xrow")}
        {advanced("wr", "wrow")}
        {repeated("rows", "i", 1)})
      {stored([(f"a{v}", "y", 16 * v) for v in vectors])}
      {joined(advanced(pointer, 16 * VECTORS) for pointer in ("x", "w", "bias", "y"))}
      {repeated("channels", "channels", 4 * VECTORS)}))"""


def script() -> str:
    """Return the content of loops.js."""
    text = f'(module (import "page" "memory" (memory 1)) {product()} {taps()})'
    code = b64encode(wat2wasm(text)).decode()
    return f'// Made by assemble.py.\nlive.loops = "{code}";\n'


if __name__ == "__main__":
    Path(__file__).with_name("loops.js").write_text(script(), encoding="utf-8")
