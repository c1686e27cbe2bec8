"""A curated map from what a feature is about to a reason code and a sentence that can be said to an applicant."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from core.i18n import Message, msg

__all__ = ["CODES", "OTHER", "ReasonCode", "code_of"]


@dataclass(frozen=True)
class ReasonCode:
    """One reason, the same in every model and version.

    Parameters
    ----------
    code : str
        Stable, ``R`` and two digits.
    pattern : str
        Searched in column, table and readable names of a feature, whatever the case.
    subject : Message
        What it is about.
    """

    code: str
    pattern: str
    subject: Message

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
