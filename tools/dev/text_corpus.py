"""Texts for comparing tokenizers: Korean, English, emoji, code, white space, broken bytes, random."""

import random
import unicodedata

KOREAN = """
나루는 배를 타고 건너는 곳을 뜻하는 우리말이다.
한 번 읽은 모델을 CPU, GPU, 국산 NPU 어디에서나 실행합니다.
제조 현장의 불량 검사 영상을 0.35초 안에 판정했다.
오늘 서울의 낮 최고기온은 영하 3도, 미세먼지는 ‘보통’ 수준이에요.
안녕하세요? 무엇을 도와드릴까요?
설비 이상 징후가 감지되면 담당자에게 알림을 보내 주세요.
제2공장 3호기 모터의 진동값이 12.7mm/s를 넘었습니다!
가격은 ₩1,250,000원이며 부가세(10%)는 별도입니다.
국민건강보험공단에서 발송한 우편물을 수령하셨나요?
대한민국의 주권은 국민에게 있고, 모든 권력은 국민으로부터 나온다.
학습률을 낮추니 손실이 줄어들었지만 과적합이 걱정된다.
ㅋㅋㅋㅋ 진짜 웃겨ㅠㅠ 내일 봐~~
우리 집 강아지는 복슬강아지, 어머니가 빨래 가면 멍멍멍.
漢字와 한글을 섞어 쓴 文章도 처리해야 한다.
뷁쉙쮋 같은 드문 음절과 옛한글 ᄒᆞᆫ글도 있다.
""".strip().splitlines()

ENGLISH = """
The quick brown fox jumps over the lazy dog, doesn't it?
I'll say they've been there; we'd better go, she'S SURE he'LL come.
Naru runs a model on whatever the machine has and says what ran where.
In 2026, 1234567 devices reported 3.14159 errors per 100,000 hours.
Résumé, naïve, façade, Ångström, Straße, ĲSSELMEER, İstanbul ıl.
e.g. a/b testing -- "quoted" (parenthesised) [bracketed] {braced} <tagged>
""".strip().splitlines()

OTHER = """
日本語のテキストをトークンに分割します。カタカナ、ひらがな、漢字。
我们在工厂里使用人工智能检测缺陷，效果很好！
Быстрая коричневая лиса прыгает через ленивую собаку.
Η γρήγορη αλεπού πηδάει πάνω από το σκυλί. Ὀδυσσεύς
השועל המהיר קופץ מעל הכלב العربية: الثعلب السريع ١٢٣
สวัสดีชาวโลก नमस्ते दुनिया বাংলা ভাষা தமிழ் ১২৩
""".strip().splitlines()

CODE = """
def f(x: int) -> list[str]:\n    return [f"{i:>4}" for i in range(x) if i % 2 == 0]\n
for (int i = 0; i < n; ++i) {\n\tsum += a[i] * b[i];  // dot\n}\r\n
#include <vector>\nstd::vector<std::byte> read(const char* p, size_t n);
SELECT id, COUNT(*) FROM t WHERE name LIKE '%naru_%' GROUP BY 1;
{"key": [1, 2.5e-3, null, true], "경로": "C:\\\\temp\\\\file.txt"}
<div class="a-b" style="color:#ff00AA;">&nbsp;text</div>
x = (a&b)|(~c^d)<<2 >> 1 != 0x7FFF_FFFF; y=-1e10
git commit -m 'fix: #123' && ./run.sh --flag=value | grep -v "^$" > /dev/null 2>&1
""".strip().split("\n")

EMOJI = list("😀😂🥲🚢🏭🔧❤🔥✨🎉👍🙏💯🤖") + [
    "👨‍👩‍👧‍👦", "🇰🇷", "👩🏽‍🔬", "❤️", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "☕️", "🫠", "©", "™", "→", "½", "²", "Ⅷ", "①", "㈜", "㎏", "ﬁ"]

SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", " \n ", "\u00a0", "\u3000", "\u2003", "\u200b", "\x0b", "\x85", "\u2028", "\ufeff"]


def sentences():
    return KOREAN + ENGLISH + OTHER + [line.replace("\\n", "\n").replace("\\t", "\t") for line in CODE]


def assigned(rng, low, high):
    """A random character that Unicode 3.2 has, so that libraries of different age agree on it."""
    while True:
        char = chr(rng.randint(low, high))
        if unicodedata.ucd_3_2_0.category(char) not in ("Cn", "Cs", "Co"):
            return char


def make_text(rng, kind):
    if kind == "korean":
        text = " ".join(rng.choice(KOREAN) for _ in range(rng.randint(1, 3)))
        begin = rng.randint(0, len(text) - 1)
        text = text[begin : begin + rng.randint(1, 80)]
        return unicodedata.normalize("NFD", text) if rng.random() < 0.15 else text
    if kind == "syllables":
        return "".join(chr(rng.randint(0xAC00, 0xD7A3)) for _ in range(rng.randint(1, 20)))
    if kind == "words":
        text = " ".join(rng.choice(ENGLISH + OTHER) for _ in range(rng.randint(1, 2)))
        begin = rng.randint(0, len(text) - 1)
        return text[begin : begin + rng.randint(1, 100)]
    if kind == "emoji":
        parts = EMOJI + [" ", "a", "가", "!"]
        return "".join(rng.choice(parts) for _ in range(rng.randint(1, 15)))
    if kind == "code":
        lines = [line.replace("\\n", "\n").replace("\\t", "\t") for line in CODE]
        return "\n".join(" " * rng.choice([0, 2, 4, 8, 13]) + rng.choice(lines) for _ in range(rng.randint(1, 3)))
    if kind == "spaces":
        parts = SPACES + ["a", "가", ".", "1", "'s", "ab cd", "/"]
        return "".join(rng.choice(parts) for _ in range(rng.randint(1, 20)))
    if kind == "ascii":
        return "".join(chr(rng.randint(1, 126)) for _ in range(rng.randint(1, 40)))
    if kind == "numbers":
        parts = list("0123456789,.-+ ") + ["１", "٣", "½", "Ⅳ", "원", "kg"]
        return "".join(rng.choice(parts) for _ in range(rng.randint(1, 25)))
    if kind == "random":
        ranges = [(0x20, 0x24F), (0x300, 0x36F), (0x370, 0x5FF), (0x600, 0x1FFF), (0x2000, 0x2BFF), (0x3000, 0x9FFF),
                  (0xA000, 0xFFFD), (0x10000, 0x1FFFF)]
        return "".join(assigned(rng, *rng.choice(ranges)) for _ in range(rng.randint(1, 25)))
    raise ValueError(kind)


KINDS = ("korean", "syllables", "words", "emoji", "code", "spaces", "ascii", "numbers", "random")


def make_corpus(count, seed=1):
    """`count` byte strings; about a tenth of them are no well-formed UTF-8."""
    rng = random.Random(seed)
    corpus = [b"", b" ", b"\n", "가".encode(), b"a" * 1000, b" " * 777, "가나다 ".encode() * 50, b"\xff\xfe", b"\xed\xa0\x80",
              b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"a\xf0\x9f\x98", b"<|im_end|>", b"<unk>", b"<s>hello</s>", b"<0x41>"]
    while len(corpus) < count:
        data = make_text(rng, KINDS[len(corpus) % len(KINDS)]).encode()
        if rng.random() < 0.1:
            data = bytearray(data)
            for _ in range(rng.randint(1, 4)):
                at = rng.randrange(len(data) + 1)
                data[at : at + rng.randint(0, 2)] = bytes(rng.randrange(128, 256) for _ in range(rng.randint(0, 3)))
            data = bytes(data)
        # New characters that broken bytes happen to make are not known to all libraries either.
        if any(unicodedata.category(char) in ("Cn", "Co") for char in data.decode("utf-8", "replace")):
            continue
        corpus.append(data)
    return corpus


def training_texts(seed=2):
    """What small vocabularies are trained on."""
    rng = random.Random(seed)
    texts = sentences() * 3
    natural = [kind for kind in KINDS if kind not in ("syllables", "random")]
    texts += [make_text(rng, natural[i % len(natural)]) for i in range(3000)]
    return texts
