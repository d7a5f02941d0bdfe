"""The two loops in which the page's network spends its time, as WebAssembly.

    python book/live/assemble.py

writes loops.js beside this file. The loops are given in WebAssembly's own text format, without
parentheses; repetition is left to Python. All addresses and pitches are in bytes, all numbers
float32, four to a vector.
"""

from base64 import b64encode
from pathlib import Path

INSTRUCTIONS = {
    "loop": "03 40", "if": "04 40", "else": "05", "end": "0b", "br_if": "0d",
    "local.get": "20", "local.set": "21", "local.tee": "22",
    "i32.const": "41", "i32.lt_u": "49", "i32.add": "6a", "i32.sub": "6b", "i32.mul": "6c",
    # loads and stores are aligned to four bytes; their offset follows
    "v128.load": "fd 00 02", "v128.load32_splat": "fd 09 02", "v128.store": "fd 0b 02",
    "f32x4.splat": "fd 13", "f32x4.lt": "fd 43", "f32x4.gt": "fd 44", "v128.and": "fd 4e",
    "f32x4.add": "fd e4 01", "f32x4.mul": "fd e6 01", "f32x4.min": "fd e8 01",
    "f32x4.max": "fd e9 01",
}  # fmt: skip
TYPES = {"i32": b"\x7f", "f32": b"\x7d", "v128": b"\x7b"}
ROWS, LANES, UNROLL = 4, 8, 4  # of the product: a tile of 4 x 8 numbers stays in registers
VECTORS = 4  # of the depthwise convolution: 16 channels at a time


def step(counter: str, by: int | str) -> str:
    """Add to a local."""
    amount = f"local.get {by}" if isinstance(by, str) else f"i32.const {by}"
    return f"local.get {counter} {amount} i32.add local.set {counter}"


def again(counter: str, by: int) -> str:
    """The end of a loop that runs until its counter is used up."""
    return f"local.get {counter} i32.const {by} i32.sub local.tee {counter} br_if 0 end"


def finish(results: list[tuple[str, str, int]]) -> str:
    """Store accumulators at (address, offset): clamped; or, as gradients, where what is there now
    lies inside the clamp, and 0 elsewhere."""
    gated = "".join(
        f"""local.get {at}
        local.get {value}
        local.get {at} v128.load {offset} local.tee there local.get low f32x4.gt
        local.get there local.get high f32x4.lt v128.and v128.and
        v128.store {offset} """
        for value, at, offset in results
    )
    clamped = "".join(
        f"""local.get {at}
        local.get {value} local.get low f32x4.max local.get high f32x4.min
        v128.store {offset} """
        for value, at, offset in results
    )
    return f"local.get gate if {gated} else {clamped} end"


LIMITS = "local.get lo f32x4.splat local.set low local.get hi f32x4.splat local.set high"


def product() -> tuple[dict[str, str], str]:
    """y = x w + bias: x (rows, inner), w in blocks of (inner, 8) for 8 columns of y each, y (rows,
    columns). Rows come in fours, columns in eights, the inner length in fours."""
    tile = [(row, half) for row in range(ROWS) for half in range(LANES // 4)]
    rows = range(ROWS)
    locals_ = dict.fromkeys("x w bias y rows inner columns gate".split(), "i32")
    locals_ |= {"lo": "f32", "hi": "f32"}  # the parameters end here
    pointers = ["q", *(f"{name}{r}" for name in "py" for r in rows)]
    locals_ |= dict.fromkeys(["xpitch", "ypitch", "left", "stop", *pointers], "i32")
    locals_ |= dict.fromkeys([f"a{r}{h}" for r, h in tile], "v128")
    locals_ |= dict.fromkeys("b0 b1 s low high there".split(), "v128")

    def below(pointer: str, pitch: str) -> str:
        return " ".join(
            f"local.get {pointer}{r - 1} local.get {pitch} i32.add local.set {pointer}{r}"
            for r in rows[1:]
        )

    multiply = " ".join(
        f"""local.get q v128.load {32 * u} local.set b0
        local.get q v128.load {32 * u + 16} local.set b1 """
        + " ".join(
            f"""local.get p{r} v128.load32_splat {4 * u} local.set s
            local.get a{r}0 local.get s local.get b0 f32x4.mul f32x4.add local.set a{r}0
            local.get a{r}1 local.get s local.get b1 f32x4.mul f32x4.add local.set a{r}1"""
            for r in rows
        )
        for u in range(UNROLL)
    )
    return (
        locals_,
        f"""
    {LIMITS}
    local.get inner i32.const 4 i32.mul local.set xpitch
    local.get columns i32.const 4 i32.mul local.set ypitch
    loop
      local.get rows local.set left
      local.get x local.set p0
      local.get y local.set y0
      loop
        {below("p", "xpitch")}
        {below("y", "ypitch")}
        local.get p0 local.get xpitch i32.add local.set stop
        local.get w local.set q
        {" ".join(f"local.get bias v128.load {16 * h} local.set a{r}{h}" for r, h in tile)}
        loop
          {multiply}
          {step("q", 32 * UNROLL)}
          {" ".join(step(f"p{r}", 4 * UNROLL) for r in rows)}
          local.get p0 local.get stop i32.lt_u br_if 0
        end
        {finish([(f"a{r}{h}", f"y{r}", 16 * h) for r, h in tile])}
        local.get p{ROWS - 1} local.set p0
        local.get y{ROWS - 1} local.get ypitch i32.add local.set y0
        {again("left", ROWS)}
      local.get q local.set w
      {step("bias", 4 * LANES)}
      {step("y", 4 * LANES)}
      {again("columns", LANES)}
    """,
    )


def taps() -> tuple[dict[str, str], str]:
    """One pixel of a depthwise convolution: y = sum of x w over a window of rows and columns, plus
    bias, for each channel. Channels come in sixteens."""
    vectors = range(VECTORS)
    parameters = "x w bias y channels rows columns xrow xcolumn wrow wcolumn gate"
    locals_ = dict.fromkeys(parameters.split(), "i32")
    locals_ |= {"lo": "f32", "hi": "f32"}  # the parameters end here
    locals_ |= dict.fromkeys("i j xr wr xp wp".split(), "i32")
    locals_ |= dict.fromkeys([*(f"a{v}" for v in vectors), "low", "high", "there"], "v128")
    multiply = " ".join(
        f"""local.get a{v}
        local.get xp v128.load {16 * v} local.get wp v128.load {16 * v} f32x4.mul
        f32x4.add local.set a{v}"""
        for v in vectors
    )
    return (
        locals_,
        f"""
    {LIMITS}
    loop
      {" ".join(f"local.get bias v128.load {16 * v} local.set a{v}" for v in vectors)}
      local.get x local.set xr
      local.get w local.set wr
      local.get rows local.set i
      loop
        local.get xr local.set xp
        local.get wr local.set wp
        local.get columns local.set j
        loop
          {multiply}
          {step("xp", "xcolumn")}
          {step("wp", "wcolumn")}
          {again("j", 1)}
        {step("xr", "xrow")}
        {step("wr", "wrow")}
        {again("i", 1)}
      {finish([(f"a{v}", "y", 16 * v) for v in vectors])}
      {" ".join(step(pointer, 16 * VECTORS) for pointer in ("x", "w", "bias", "y"))}
      {again("channels", 4 * VECTORS)}
    """,
    )


def leb128(value: int) -> bytes:
    """A whole number as WebAssembly writes it, with a sign."""
    low, rest = value & 0x7F, value >> 7
    if rest == (-1 if low & 0x40 else 0):
        return bytes([low])
    return bytes([low | 0x80]) + leb128(rest)


def unsigned(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + unsigned(value >> 7)


def vector(items: list[bytes]) -> bytes:
    return unsigned(len(items)) + b"".join(items)


def sized(content: bytes) -> bytes:
    return unsigned(len(content)) + content


def name(text: str) -> bytes:
    return sized(text.encode())


def encode(names: list[str], text: str) -> bytes:
    """The instructions of one function."""
    code, signed = b"", False
    for word in text.split():
        if word in INSTRUCTIONS:
            code += bytes.fromhex(INSTRUCTIONS[word])
        elif word in names:
            code += unsigned(names.index(word))
        else:
            code += leb128(int(word)) if signed else unsigned(int(word))
        signed = word == "i32.const"
    return code + bytes.fromhex(INSTRUCTIONS["end"])


def module(**functions: tuple[dict[str, str], str]) -> bytes:
    """A module that imports its memory as page.memory and exports the functions."""
    types, codes = [], []
    for locals_, text in functions.values():
        kinds = list(locals_.values())
        parameters = kinds.index("f32") + 2  # lo and hi are the last ones
        types.append(b"\x60" + vector([TYPES[kind] for kind in kinds[:parameters]]) + vector([]))
        own = vector([b"\x01" + TYPES[kind] for kind in kinds[parameters:]])
        codes.append(sized(own + encode(list(locals_), text)))
    count = range(len(functions))
    sections = {
        1: types,
        2: [name("page") + name("memory") + b"\x02\x00\x01"],
        3: [unsigned(i) for i in count],
        7: [name(function) + b"\x00" + unsigned(i) for i, function in enumerate(functions)],
        10: codes,
    }
    return b"\0asm\1\0\0\0" + b"".join(
        bytes([number]) + sized(vector(items)) for number, items in sections.items()
    )


def script() -> str:
    """What loops.js holds."""
    code = b64encode(module(product=product(), taps=taps())).decode()
    return f'// Made by assemble.py.\nlive.loops = "{code}";\n'


if __name__ == "__main__":
    Path(__file__).with_name("loops.js").write_text(script(), encoding="utf-8")
