import re

import numpy as np
import pytest

from sample_data import World
from sample_data.identities import is_valid_credit_code, social_credit_codes


@pytest.mark.parametrize("code", ["91350100M000100Y43", "911100001000013428"])
def test_the_check_character_is_the_one_of_the_standard(code: str) -> None:
    # The first is the worked example of GB 32100-2015 itself; the second is made up with its check computed by hand.
    assert is_valid_credit_code(code) is (code == "91350100M000100Y43")


def test_credit_codes_are_distinct_valid_and_in_the_unassigned_region() -> None:
    codes = social_credit_codes(np.random.default_rng(3), 5_000)
    assert len(set(codes)) == 5_000
    assert all(code.startswith("919999") for code in codes)
    assert all(is_valid_credit_code(code) for code in codes)


def test_one_wrong_character_breaks_a_credit_code() -> None:
    code = social_credit_codes(np.random.default_rng(3), 1)[0]
    wrong = code[:9] + ("1" if code[9] != "1" else "2") + code[10:]
    assert is_valid_credit_code(code)
    assert not is_valid_credit_code(wrong)


def test_the_organisation_part_has_its_own_check_digit() -> None:
    code = social_credit_codes(np.random.default_rng(8), 1)[0]
    body = [int(digit) for digit in code[8:16]]
    check = (11 - sum(a * b for a, b in zip(body, (3, 7, 9, 10, 5, 8, 4, 2), strict=True)) % 11) % 11
    assert code[16] == ("X" if check == 10 else str(check))


def test_no_firm_and_no_person_can_be_taken_for_a_real_one(world: World) -> None:
    firms, persons = world.table_set.frame("enterprise"), world.table_set.frame("person")
    assert firms["ent_name"].str.endswith("（虚拟）").all()
    assert firms["uscc"].is_unique
    assert firms["uscc"].map(is_valid_credit_code).all()
    assert firms["uscc"].str.startswith("919999").all()
    assert persons["person_name"].map(lambda name: bool(re.fullmatch(r"[\u4e00-\u9fff]某[\u4e00-\u9fff]", name))).all()
    assert persons["id_hash"].str.fullmatch(r"[0-9a-f]{32}").all()
    assert persons["birth_date"].notna().all()
