"""Screenshots of short chats, and copies of pictures as messengers and galleries make them."""

import io
from functools import cache

from PIL import Image, ImageDraw, ImageEnhance, ImageFont

from mayak.fonts import font_path
from mayak_synthetic.canvas import SeededRandom

INNOCENT = (
    "오늘 저녁에 시간 돼?", "응 몇 시에?", "7시 어때", "좋아 거기서 봐", "아직 못 샀어",
    "이번 주말에 가자", "알겠어", "지금 어디야", "버스 탔어", "10분 뒤 도착", "밥 먹었어?",
    "숙제 다 했니", "네 확인했습니다", "내일 봬요",
)  # fmt: skip
DRUG = (
    "물건 준비 됐어?", "1g 얼마?", "입금 확인", "좌표 보낼게", "화단 벽돌 밑", "찾았음", "떨 두개",
    "아이스 있음?",
)  # fmt: skip

SIZE = (540, 1170)


def chat(texts, name="민수"):
    """A screenshot; the other person's message first, then in turn."""
    image = Image.new("RGB", SIZE, (186, 206, 224))
    draw = ImageDraw.Draw(image)
    draw.text((20, 10), "10:21", font=_font(20), fill=0)
    draw.text((70, 60), name, font=_font(27), fill=0)
    for number, text in enumerate(texts):
        top, width = 160 + 85 * number, round(_font(23).getlength(text)) + 36
        left = 520 - width if number % 2 else 80
        if not number % 2:
            draw.ellipse((15, top - 5, 65, top + 45), fill=(150, 170, 190))
        colour = (254, 229, 0) if number % 2 else (255, 255, 255)
        draw.rounded_rectangle((left, top, left + width, top + 55), 15, fill=colour)
        draw.text((left + 18, top + 13), text, font=_font(23), fill=0)
    draw.rectangle((0, 1090, 540, 1170), fill=(255, 255, 255))
    return image


def hundred_chats():
    """Of a hundred short chats whether each is about drugs, as every fifth is, and the picture."""
    rng = SeededRandom("chats", 1)
    for number in range(100):
        deals = number % 5 == 0
        texts = [
            rng.choice(DRUG if deals and turn % 2 == 0 else INNOCENT)
            for turn in range(rng.choice((2, 4)))
        ]
        yield deals, chat(texts, rng.choice(("민수", "지영")))


def jpeg(image, quality=80):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def copies(image):
    """JPEG files of the same picture by what was done to it."""
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    smaller = image.resize((round(image.width * 0.75), round(image.height * 0.75)))
    return {
        "quality 85": jpeg(image, 85),
        "quality 70": jpeg(image, 70),
        "quality 55": jpeg(image, 55),
        "75 % of the size": jpeg(smaller),
        "half the size": jpeg(half),
        "brighter": jpeg(ImageEnhance.Brightness(image).enhance(1.03)),
        "darker": jpeg(ImageEnhance.Brightness(image).enhance(0.94)),
    }


@cache
def _font(size):
    return ImageFont.truetype(str(font_path("Pretendard-Regular")), size)
