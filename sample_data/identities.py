"""Names and codes that look right and belong to nobody.

Firms carry the mark （虚拟） in their name and a unified social credit code of the region 9999, which is not assigned;
persons are written the way court reports hide them (surname + 某 + one character).
"""

import numpy as np

from sample_data.timeline import Array

__all__ = [
    "choice",
    "city_names",
    "enterprise_names",
    "identifiers",
    "is_valid_credit_code",
    "numbered_keys",
    "or_null",
    "person_hashes",
    "person_names",
    "social_credit_codes",
]

CODE_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100: no I, O, S, V, Z
RESERVED_REGION = "9999"
VIRTUAL_MARK = {"zh": "（虚拟）", "en": " (virtual)"}
_CITIES = {
    "zh": ("杭州", "宁波", "温州", "台州", "绍兴", "金华", "嘉兴", "湖州", "衢州", "丽水", "舟山"),
    "en": (
        "Hangzhou", "Ningbo", "Wenzhou", "Taizhou", "Shaoxing", "Jinhua", "Jiaxing", "Huzhou", "Quzhou", "Lishui",
        "Zhoushan",
    ),
}  # fmt: skip
_TRADES = {
    "zh": {
        "C": ("机械", "纺织", "塑业", "电器", "五金", "阀门"),
        "F": ("贸易", "商贸", "供应链", "进出口"),
        "E": ("建设", "建筑工程", "装饰"),
        "H": ("餐饮管理", "酒店管理"),
        "G": ("物流", "货运"),
        "I": ("信息技术", "软件"),
        "A": ("农业开发", "生态农业"),
        "O": ("企业服务", "文化传媒", "环保科技"),
    },
    "en": {
        "C": ("Machinery", "Textile", "Plastics", "Electric", "Hardware", "Valve"),
        "F": ("Trading", "Commerce", "Supply Chain", "Import and Export"),
        "E": ("Construction", "Building Works", "Decoration"),
        "H": ("Catering", "Hotel Management"),
        "G": ("Logistics", "Freight"),
        "I": ("Information Technology", "Software"),
        "A": ("Agricultural Development", "Ecological Farming"),
        "O": ("Business Services", "Culture and Media", "Environmental Technology"),
    },
}
_FIRST = {
    "zh": tuple("衡澜砚岫棠霁翊蔚泓漪昉珩璟湛筠翎沅钺垚祎"),
    "en": tuple(
        "Heng Lan Yan Xiu Tang Ji Yi Wei Hong Yi Fang Heng Jing Zhan Yun Ling Yuan Yue Yao Yi".split()  # noqa: SIM905
    ),
}
_SECOND = {
    "zh": tuple("沣翮铭昇濯屹弘琮晖骞磊泽煦朔彦桓榕洵笙翰"),
    "en": tuple(
        "Feng He Ming Sheng Zhuo Yi Hong Cong Hui Qian Lei Ze Xu Shuo Yan Huan Rong Xun Sheng Han".split()  # noqa: SIM905
    ),
}
_SURNAMES = {
    "zh": tuple("王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓冯韩曹"),
    "en": tuple(
        "Wang Li Zhang Liu Chen Yang Huang Zhao Wu Zhou Xu Sun Ma Zhu Hu Guo He Lin Gao Luo Zheng Liang Xie Song "  # noqa: SIM905
        "Tang Xu Deng Feng Han Cao".split()
    ),
}


def identifiers(prefix: str, n: int, width: int = 7) -> Array:
    """Return `n` text keys ``prefix`` + running number, as an object array of shape (n,)."""
    return numbered_keys(prefix, np.arange(1, n + 1), width)


def numbered_keys(prefix: str, numbers: Array, width: int) -> Array:
    """Return text keys ``prefix`` + number with leading zeros, as an object array of shape (n,).

    Examples
    --------
    >>> numbered_keys("E", np.array([7, 12]), 4).tolist()
    ['E0007', 'E0012']
    """
    if len(numbers) == 0:
        return np.empty(0, dtype=object)
    return np.char.add(prefix, np.char.zfill(np.asarray(numbers).astype(f"U{width}"), width)).astype(object)


def enterprise_names(
    rng: np.random.Generator, region: Array, sector: Array, sectors: str, language: str = "zh"
) -> Array:
    """Return invented firm names of shape (n_enterprises,): city, two characters, trade, legal form, virtual mark."""
    first, second = _pick(rng, _FIRST[language], len(region)), _pick(rng, _SECOND[language], len(region))
    trade = np.empty(len(region), dtype=object)
    for index, letter in enumerate(sectors):
        members = np.flatnonzero(sector == index)
        trade[members] = _pick(rng, _TRADES[language][letter], len(members))
    city = np.array(_CITIES[language], dtype=object)[region]
    if language == "en":
        return _lower_second(city + " ", first, second) + " " + trade + " Co., Ltd." + VIRTUAL_MARK["en"]
    names: Array = city + first + second + trade + "有限公司" + VIRTUAL_MARK["zh"]
    return names


def person_names(rng: np.random.Generator, n: int, language: str = "zh") -> Array:
    """Return names such as 王某澜 or Wang X. Lan (virtual) of shape (n,), which name nobody."""
    surname, given = _pick(rng, _SURNAMES[language], n), _pick(rng, _FIRST[language] + _SECOND[language], n)
    names: Array = surname + " X. " + given + VIRTUAL_MARK["en"] if language == "en" else surname + "某" + given
    return names


def city_names(language: str) -> tuple[str, ...]:
    """Return the names of the cities, in the order of the regions."""
    return _CITIES[language]


def person_hashes(rng: np.random.Generator, n: int) -> Array:
    """Return 32 hexadecimal characters per person, of shape (n,): random, a hash of no identity number."""
    return np.frombuffer(rng.bytes(16 * n).hex().encode(), dtype="S32").astype("U32").astype(object)


def social_credit_codes(rng: np.random.Generator, n: int) -> Array:
    """Return `n` distinct 18-character codes of the unassigned region 9999 with both check characters valid.

    Source: GB 32100-2015 (modulo 31, weights 3^i) and GB 11714-1997 (modulo 11) for the organisation part.
    """
    digits = np.empty((n, 18), dtype=np.int64)
    digits[:, :2] = (9, 1)
    digits[:, 2:6] = 9
    digits[:, 6:8] = rng.integers(0, 10, (n, 2))
    body = 10_000_000 + rng.permutation(max(4 * n, 1_000))[:n]
    digits[:, 8:16] = body[:, None] // 10 ** np.arange(7, -1, -1) % 10
    organisation_check = (11 - digits[:, 8:16] @ np.array([3, 7, 9, 10, 5, 8, 4, 2]) % 11) % 11
    digits[:, 16] = np.where(organisation_check == 10, CODE_ALPHABET.index("X"), organisation_check)
    weights = np.array([pow(3, power, 31) for power in range(17)])
    digits[:, 17] = (31 - digits[:, :17] @ weights % 31) % 31
    characters = np.array(list(CODE_ALPHABET), dtype="U1")[digits]
    return np.ascontiguousarray(characters).view("U18").ravel().astype(object)


def is_valid_credit_code(code: str) -> bool:
    """Return whether the last character of an 18-character code is its GB 32100 check character."""
    if len(code) != 18 or any(character not in CODE_ALPHABET for character in code):
        return False
    values = [CODE_ALPHABET.index(character) for character in code]
    total = sum(value * pow(3, power, 31) for power, value in enumerate(values[:17]))
    return (31 - total % 31) % 31 == values[17]


def choice(rng: np.random.Generator, values: list[str], shares: list[float], n: int) -> Array:
    """Draw `n` of `values` in proportion to `shares`, as an object array of shape (n,)."""
    return rng.choice(np.array(values, dtype=object), n, p=np.array(shares) / sum(shares))


def or_null(values: Array, is_given: Array) -> Array:
    """Return `values` as an object array with None where not `is_given`."""
    given: Array = values.astype(object)
    given[~is_given] = None
    return given


def _lower_second(before: Array, first: Array, second: Array) -> Array:
    """Write two syllables as one word: Heng, Ming gives Hengming."""
    syllables, position = np.unique(second.astype(str), return_inverse=True)
    joined: Array = before + first + np.char.lower(syllables).astype(object)[position]
    return joined


def _pick(rng: np.random.Generator, choices: tuple[str, ...], n: int) -> Array:
    return np.array(choices, dtype=object)[rng.integers(0, len(choices), n)]
