#!/usr/bin/env python3
"""Draws pictures of product labels from known text, for tests and demonstrations of label reading.

  draw_label.py --out labels --count 3 --seed 7

writes label_000.png ... and beside each a .json with its lines: text and quadrilateral. The same seed
gives the same pictures (with the same fonts installed). Only characters that the PP-OCRv5 recogniser
knows are drawn: Latin letters, digits and signs; its dictionary has no Hangul.
"""

import argparse
import json
import math
import pathlib
import random
import sys
from typing import NamedTuple

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

FONT_FOLDER = pathlib.Path("/usr/share/fonts/truetype")
FONTS = (
    "dejavu/DejaVuSans.ttf",
    "dejavu/DejaVuSans-Bold.ttf",
    "dejavu/DejaVuSansMono.ttf",
    "dejavu/DejaVuSerif.ttf",
    "liberation/LiberationSans-Regular.ttf",
    "liberation/LiberationSans-Bold.ttf",
    "liberation/LiberationSansNarrow-Regular.ttf",
    "liberation/LiberationSerif-Regular.ttf",
    "liberation/LiberationMono-Regular.ttf",
    "nanum/NanumGothic.ttf",
    "nanum/NanumBarunGothic.ttf",
    "nanum/NanumSquareR.ttf",
)
# Needed by no more than the label's own border, so that no corner leaves the picture.
MAX_ANGLE_DEGREES = 4.0


class Line(NamedTuple):
    text: str
    font: str
    size_px: int
    # Corners clockwise from the upper left of the text, x right and y down, in pixels.
    quad: list[tuple[float, float]]


def letters(generator: random.Random, count: int) -> str:
    return "".join(generator.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(count))


def digits(generator: random.Random, count: int) -> str:
    return "".join(generator.choice("0123456789") for _ in range(count))


def product_text(generator: random.Random) -> list[tuple[str, float]]:
    """The lines of one label, each with its size relative to the body text."""
    pick = generator.choice
    year, month, day = generator.randint(2021, 2029), generator.randint(1, 12), generator.randint(1, 28)
    brand = pick(("HANKANG", "NARU MOTOR", "SEORAK", "DAEDONG", "MIRAE TECH", "BLUE HARBOR"))
    product = pick(("Servo Drive", "Air Filter", "LED Module", "Battery Pack", "Gear Pump", "Power Supply"))
    model = f"{letters(generator, 2)}-{digits(generator, 4)}{letters(generator, 1)}"
    body = [
        f"MODEL: {model}",
        f"S/N {letters(generator, 1)}{digits(generator, 9)}",
        f"LOT {digits(generator, 6)}-{digits(generator, 2)}",
        f"MFG {year}.{month:02}.{day:02}",
        f"EXP {year + generator.randint(1, 4)}-{month:02}-{day:02}",
        pick(("AC 220V 60Hz", "DC 24V 2.5A", "INPUT 100-240V", "3.7V 5000mAh")),
        f"Net Wt. {generator.randint(1, 40) * 25}g",
        f"Temp. {generator.randint(0, 5)} to {generator.randint(30, 60)}°C",
        f"P/N {digits(generator, 3)}-{digits(generator, 5)}-{letters(generator, 2)}",
        f"Qty {generator.randint(1, 48)} EA",
    ]
    generator.shuffle(body)
    lines = [(brand, generator.uniform(1.6, 2.0)), (product, generator.uniform(1.1, 1.5))]
    lines += [(text, generator.uniform(0.85, 1.1)) for text in body[: generator.randint(4, 6)]]
    return [*lines, (pick(("MADE IN KOREA", "Handle with care", "www.naru.example")), 0.8)]


def load_font(name: str, size: int) -> ImageFont.FreeTypeFont:
    path = FONT_FOLDER / name
    if not path.is_file():
        raise SystemExit(f"error: the font {name} is missing; run tools/setup")
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def draw_barcode(draw: ImageDraw.ImageDraw, generator: random.Random, box: tuple[int, int, int, int], ink: int) -> None:
    x, top, right, bottom = box
    while x < right:
        bar = generator.randint(1, 4)
        draw.rectangle((x, top, x + bar - 1, bottom), fill=(ink, ink, ink))
        x += bar + generator.randint(2, 5)


def shade(image: Image.Image, generator: random.Random) -> Image.Image:
    """Lets light fall from one side."""
    darkest = generator.randint(150, 215)
    ramp = Image.linear_gradient("L").rotate(generator.choice((0, 90, 180, 270)))
    ramp = ramp.resize(image.size, Image.Resampling.BILINEAR)
    ramp = ramp.point([darkest + v * (255 - darkest) // 255 for v in range(256)])
    return ImageChops.multiply(image, Image.merge("RGB", (ramp, ramp, ramp)))


def add_noise(image: Image.Image, generator: random.Random) -> Image.Image:
    """Adds sensor noise: the mean of two uniform values per channel, about 128."""
    strength = generator.uniform(0.02, 0.12)
    count = image.width * image.height * 3
    planes = [Image.frombytes("RGB", image.size, generator.randbytes(count)) for _ in range(2)]
    noise = Image.blend(planes[0], planes[1], 0.5)
    noise = noise.point([round(128 + (v - 128) * strength) for v in range(256)] * 3)
    return ImageChops.add(image, noise, 1, -128)


def rotate_point(point: tuple[float, float], angle_degrees: float, size: tuple[int, int]) -> tuple[float, float]:
    """Where Image.rotate, counter-clockwise about the centre, takes a point."""
    radians = math.radians(angle_degrees)
    x, y = point[0] - size[0] / 2, point[1] - size[1] / 2
    return (
        round(size[0] / 2 + math.cos(radians) * x + math.sin(radians) * y, 2),
        round(size[1] / 2 - math.sin(radians) * x + math.cos(radians) * y, 2),
    )


def draw_label(seed: int, number: int, upright: bool = False) -> tuple[Image.Image, dict]:
    """Draws label `number` of a seed; upright ones are neither rotated, shaded, blurred nor noisy."""
    generator = random.Random(f"{seed}/{number}")
    body_px = generator.randint(26, 36)
    texts = product_text(generator)
    fonts = [generator.choice(FONTS) for _ in range(3)]
    ink = generator.randint(0, 60)
    paper = tuple(generator.randint(225, 255) for _ in range(3))
    table = tuple(generator.randint(70, 190) for _ in range(3))
    angle = 0.0 if upright else generator.uniform(-MAX_ANGLE_DEGREES, MAX_ANGLE_DEGREES)

    placed = []
    y = 0
    for i, (text, scale) in enumerate(texts):
        name, size = fonts[min(i, 2)], round(body_px * scale)
        font = load_font(name, size)
        left, top, right, bottom = font.getbbox(text)
        placed.append((text, name, size, font, y - top, right - left, (left, top, bottom)))
        y += bottom - top + round(size * generator.uniform(0.55, 0.9))
    barcode_px = body_px * 2
    inner = (max(entry[5] for entry in placed), y + barcode_px)
    padding, margin = body_px, body_px + round(0.05 * (inner[0] + inner[1]))
    size = (inner[0] + 2 * (padding + margin), inner[1] + 2 * (padding + margin))
    origin = padding + margin

    image = Image.new("RGB", size, table)
    draw = ImageDraw.Draw(image)
    sheet = (margin, margin, size[0] - margin, size[1] - margin)
    draw.rounded_rectangle(sheet, radius=body_px // 3, fill=paper, outline=(ink, ink, ink), width=2)
    lines = []
    for text, name, size_px, font, top_y, width, (left, top, bottom) in placed:
        draw.text((origin - left, origin + top_y), text, font=font, fill=(ink, ink, ink))
        x0, y0, x1, y1 = origin, origin + top_y + top, origin + width, origin + top_y + bottom
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        quad = [rotate_point(corner, angle, size) for corner in corners]
        lines.append(Line(text, pathlib.PurePath(name).stem, size_px, quad))
    bottom = size[1] - origin
    draw_barcode(draw, generator, (origin, bottom - barcode_px + body_px // 2, origin + inner[0] // 2, bottom), ink)

    if not upright:
        image = image.rotate(angle, Image.Resampling.BICUBIC, fillcolor=table)
        image = shade(image, generator)
        image = image.filter(ImageFilter.GaussianBlur(generator.uniform(0.2, 0.9)))
        image = add_noise(image, generator)
    truth = {
        "width": size[0],
        "height": size[1],
        "seed": seed,
        "number": number,
        "angle_degrees": round(angle, 3),
        "lines": [line._asdict() for line in lines],
    }
    return image, truth


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--upright", action="store_true", help="without rotation, shading, blur and noise")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for number in range(arguments.count):
        image, truth = draw_label(arguments.seed, number, arguments.upright)
        path = arguments.out / f"label_{number:03}.png"
        image.save(path)
        truth = {"image": path.name, **truth}
        path.with_suffix(".json").write_text(json.dumps(truth, ensure_ascii=False, indent=1) + "\n")
        print(f"{path}: {truth['width']}x{truth['height']}, {len(truth['lines'])} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
