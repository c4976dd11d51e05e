"""A HEIC picture in tiles, as phones with 50 to 200 megapixels write them: one coded tile, which
every item of the grid names."""

import io
import struct


def heic_grid(tile, columns, rows):
    """The bytes of a grid of one RGB picture; pillow_heif must be registered."""
    stream = io.BytesIO()
    tile.save(stream, "HEIF", quality=60)
    data = stream.getvalue()
    meta = _find(data, 0, len(data), b"meta")
    properties = _find(data, *_find(data, meta[0] + 4, meta[1], b"iprp"), b"ipco")
    config_start, config_end = _find(data, *properties, b"hvcC")
    config = _box(b"hvcC", data[config_start:config_end])
    start, end = _find(data, 0, len(data), b"mdat")
    coded = data[start:end]
    count = columns * rows
    width, height = columns * tile.width, rows * tile.height
    grid = struct.pack(">BBBBLL", 0, 1, rows - 1, columns - 1, width, height)
    entries = b"".join(
        _full(b"infe", 2, 1, struct.pack(">HH4sx", i + 1, 0, b"hvc1")) for i in range(count)
    )
    entries += _full(b"infe", 2, 0, struct.pack(">HH4sx", count + 1, 0, b"grid"))
    tiles = struct.pack(f">HH{count}H", count + 1, count, *range(1, count + 1))
    sizes = _size(*tile.size) + _size(width, height)
    uses = b"".join(struct.pack(">HBBB", i + 1, 2, 0x81, 2) for i in range(count))
    uses = struct.pack(">L", count + 1) + uses + struct.pack(">HBB", count + 1, 1, 3)

    def header(at):
        places = b"".join(
            struct.pack(">HHHHLL", i + 1, 0, 0, 1, at, len(coded)) for i in range(count)
        )
        places += struct.pack(">HHHHLL", count + 1, 0, 0, 1, at + len(coded), len(grid))
        return _full(
            b"meta",
            0,
            0,
            _full(b"hdlr", 0, 0, b"\0\0\0\0pict" + bytes(13))
            + _full(b"pitm", 0, 0, struct.pack(">H", count + 1))
            + _full(b"iloc", 1, 0, struct.pack(">HH", 0x4400, count + 1) + places)
            + _full(b"iinf", 0, 0, struct.pack(">H", count + 1) + entries)
            + _full(b"iref", 0, 0, _box(b"dimg", tiles))
            + _box(b"iprp", _box(b"ipco", config + sizes) + _full(b"ipma", 0, 0, uses)),
        )

    kind = _box(b"ftyp", b"heic\0\0\0\0mif1heic")
    at = len(kind) + len(header(0)) + 8
    return kind + header(at) + _box(b"mdat", coded + grid)


def _box(kind, body):
    return struct.pack(">L4s", 8 + len(body), kind) + body


def _full(kind, version, flags, body):
    return _box(kind, struct.pack(">L", version << 24 | flags) + body)


def _size(width, height):
    return _full(b"ispe", 0, 0, struct.pack(">LL", width, height))


def _find(data, at, end, wanted):
    """Where the body of a box begins and ends."""
    while at + 8 <= end:
        size, kind = struct.unpack_from(">L4s", data, at)
        if kind == wanted:
            return at + 8, at + size
        at += size
    raise ValueError(wanted)
