"""Reason codes: from what a feature is about to a code and a sentence that can be said to an applicant.

The curated codes are the same in every model and version. An analyst may word them differently, add codes, and say
which code a feature has; what holds for a model is frozen in its bundle, and approved with it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from core.errors import IntegrityError
from core.i18n import LANGUAGES, Language, Message, msg, render

if TYPE_CHECKING:
    from features.definitions import FeatureDefinition
    from features.plan import FeaturePlan

__all__ = ["CODES", "OTHER", "ReasonCode", "ReasonMap", "ReasonSpec", "code_of", "sentences", "subject"]

Code = Annotated[str, StringConstraints(pattern=r"^R[0-9]{2}$")]
Subject = Annotated[str, StringConstraints(min_length=1, max_length=120)]


@dataclass(frozen=True)
class ReasonCode:
    """One reason, the same in every model and version.

    Parameters
    ----------
    code : str
        Stable, ``R`` and two digits.
    pattern : str
        Searched in column, table and readable names of a feature, whatever the case.
    subject : Message or str
        What it is about.
    """

    code: str
    pattern: str
    subject: Message | str

    def sentence(self, *, raises: bool) -> Message:
        """Return what is said: the subject and its effect, and nothing about the value, which may be any."""
        if raises:
            return msg("Risk raised by {subject}", subject=self.subject)
        return msg("Risk lowered by {subject}", subject=self.subject)


CODES: Final = (
    ReasonCode("R01", r"subrog|compensat|代偿", msg("the record of subrogations")),
    ReasonCode(
        "R02",
        r"judicial|case_|lawsuit|litigat|enforce|dishonest|诉讼|司法|案件|执行|失信",
        msg("court and enforcement records"),
    ),
    ReasonCode("R03", r"tax_arrear|late_fee|late_days|zero_declar|欠税|滞纳|逾期申报|零申报", msg("the tax record")),
    ReasonCode("R04", r"overdue|past_?due|delinq|dpd|逾期|拖欠", msg("the payment record")),
    ReasonCode("R05", r"attention|class5|关注|五级", msg("the classification of loans")),
    ReasonCode("R06", r"hard_quer|quer(y|ies)|inquir|查询", msg("how often credit was sought lately")),
    ReasonCode("R07", r"card_usage|utili[sz]ation|贷记卡|使用率", msg("the use of credit lines")),
    ReasonCode("R08", r"lender|多头|机构数", msg("the number of lenders")),
    ReasonCode("R09", r"guarantee_edge|equity_share|对外担保|担保圈", msg("guarantees given to others")),
    ReasonCode("R10", r"liabilit(y|ies)_ratio|total_liab|current_liab|负债", msg("the liabilities")),
    ReasonCode(
        "R11",
        r"loan_balance|short_loan|long_loan|fin_cost|debt|借款|借贷|债务|财务费用",
        msg("borrowings and their cost"),
    ),
    ReasonCode("R12", r"profit|利润|盈利", msg("the profit")),
    ReasonCode("R13", r"sales_yoy|growth|yoy|同比|增长", msg("the growth of sales")),
    ReasonCode("R14", r"op_cash|cash|现金", msg("the cash flow from operations")),
    ReasonCode("R15", r"receivable|inventory|应收|存货", msg("receivables and stock")),
    ReasonCode("R16", r"sales|revenue|销售|营业收入|vat_", msg("the sales")),
    ReasonCode("R17", r"equity|asset|capital|权益|资产|资本", msg("the firm's own means")),
    ReasonCode("R18", r"amount_to_revenue|amount|term_months|申请金额|期限", msg("the amount and term asked for")),
    ReasonCode("R19", r"counter_guarantee|collateral|反担保|抵押", msg("the counter-guarantee")),
    ReasonCode("R20", r"est_date|since|age|establish|成立|年限", msg("the age of the firm and its history")),
    ReasonCode("R21", r"sector|industry|product|purpose|行业|产品|用途", msg("the line of business")),
    ReasonCode("R22", r"city|region|macro|pmi|ppi|lpr|export|地区|市|宏观", msg("the region and the economy")),
    ReasonCode("R23", r"person|birth|education|marital|house|自然人|学历|房产", msg("the owner's circumstances")),
    ReasonCode("R24", r"shareholder|ratio|股东|出资", msg("the ownership")),
    ReasonCode("R25", r"repay|first_guarantee|contract|还款|合同|首次担保", msg("the history with guarantors")),
    ReasonCode("R26", r"scale|employ|规模|员工", msg("the firm's size")),
)
"""The map; the first that matches speaks, the graver matters first."""

OTHER: Final = ReasonCode("R99", r"", msg("another circumstance"))
"""What is said of a feature that no code knows."""


@lru_cache(maxsize=4096)
def code_of(names: tuple[str, ...]) -> ReasonCode:
    """Return the code of a feature by its column, its table and its readable names, the column first.

    Examples
    --------
    >>> code_of(("hard_queries_6m", "credit_query")).code, code_of(("net_profit", "fin_statement")).code
    ('R06', 'R12')
    >>> code_of(("x17",)).code
    'R99'
    """
    for name in names:
        for code in CODES:
            if re.search(code.pattern, name, re.IGNORECASE):
                return code
    return OTHER


class ReasonSpec(BaseModel):
    """What an analyst changes of the curated map.

    Parameters
    ----------
    subjects : dict of code to dict of language to str
        What a code is about: a curated one in other words, or one of your own (``R27`` to ``R98``), in every language.
    features : dict of str to code
        By alias of a feature or name of a column: its code.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    subjects: dict[Code, dict[Language, Subject]] = Field(default_factory=dict)
    features: dict[str, Code] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for code, subject in self.subjects.items():
            if set(subject) != set(LANGUAGES):
                raise ValueError(f"the reason code {code} needs its subject in {' and '.join(LANGUAGES)}")
        known = {code.code for code in (*CODES, OTHER)} | set(self.subjects)
        unknown = sorted(set(self.features.values()) - known)
        if unknown:
            raise ValueError(f"no reason code is called {unknown[0]}: give it a subject")
        return self

    def differences(self, before: "ReasonSpec") -> dict[str, dict[str, list[Any]]]:
        """Return what is not as it was `before`, by part and name: the old value and the new one, None where none.

        Examples
        --------
        >>> ReasonSpec(features={"amount": "R18"}).differences(ReasonSpec(features={"staff": "R26"}))
        {'subjects': {}, 'features': {'amount': [None, 'R18'], 'staff': ['R26', None]}}
        """
        now, then = self.model_dump(mode="json"), before.model_dump(mode="json")
        return {
            part: {
                name: [then[part].get(name), now[part].get(name)]
                for name in sorted({*then[part], *now[part]})
                if then[part].get(name) != now[part].get(name)
            }
            for part in ("subjects", "features")
        }


@dataclass(frozen=True)
class ReasonMap:
    """The codes of one model's features, with their sentences.

    Parameters
    ----------
    features : mapping of str to str
        Code by alias.
    sentences : mapping of str to mapping of str to str
        By code: what is said in each language where the risk is raised (``"raises.en"``) or lowered (``"lowers.zh"``).
    """

    features: Mapping[str, str] = field(default_factory=dict)
    sentences: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of_plan(cls, plan: "FeaturePlan", spec: ReasonSpec | None = None) -> "ReasonMap":
        """Return the codes of the features of `plan`: the analyst's, else the curated ones."""
        spec = spec or ReasonSpec()
        features = {item.alias: _chosen(plan, item, spec) for item in plan.definitions}
        return cls(features, {code: sentences(code, spec) for code in sorted(set(features.values()))})

    def statement(self, alias: str, *, raises: bool, language: str) -> str:
        """Return what is said to an applicant of a feature that raises or lowers the risk."""
        return self.sentences[self.features[alias]][_name(raises=raises, language=language)]

    def to_json(self) -> dict[str, Any]:
        """Return the map as JSON values; `from_json` reads it back."""
        return {
            "features": dict(self.features),
            "sentences": {code: dict(texts) for code, texts in self.sentences.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], plan: "FeaturePlan") -> "ReasonMap":
        """Read what `to_json` wrote; refuse one that lacks a feature of `plan` or a sentence."""
        found = cls(dict(data["features"]), {code: dict(texts) for code, texts in data["sentences"].items()})
        names = {_name(raises=raises, language=language) for raises in (True, False) for language in LANGUAGES}
        codes = {found.features.get(alias) for alias in plan.aliases}
        if not codes <= set(found.sentences) or any(set(texts) != names for texts in found.sentences.values()):
            raise IntegrityError(msg("the stored reason codes are not those of the model's features"))
        return found


def _chosen(plan: "FeaturePlan", item: "FeatureDefinition", spec: ReasonSpec) -> str:
    column = str(item.column or "")
    if (own := spec.features.get(item.alias) or spec.features.get(column)) is not None:
        return own
    table = item.path[-1].table if item.path else plan.root_table
    return code_of((column, table, *item.names.values())).code


def subject(code: str, language: Language, spec: ReasonSpec | None = None) -> str:
    """Return what a code is about: in the analyst's words of `spec`, else in the curated ones."""
    if spec is not None and code in spec.subjects:
        return spec.subjects[code][language]
    curated = next((item for item in (*CODES, OTHER) if item.code == code), OTHER)
    return str(render(curated.subject, language))


def sentences(code: str, spec: ReasonSpec) -> dict[str, str]:
    """Return what is said of a code, by direction and language: ``raises.en``, ``lowers.zh`` and so on."""
    texts = {}
    for language in LANGUAGES:
        about = subject(code, language, spec)
        for raises in (True, False):
            text = ReasonCode(code, "", about).sentence(raises=raises).text(language)
            texts[_name(raises=raises, language=language)] = text[:1].upper() + text[1:]
    return texts


def _name(*, raises: bool, language: str) -> str:
    return f"{'raises' if raises else 'lowers'}.{language}"
