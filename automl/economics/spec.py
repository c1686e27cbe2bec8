"""Where a project keeps what economics needs, and what is set by hand."""

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "ColumnValues", "ContractColumns", "EconomicsSpec", "RecoveryColumns", "SettingsByHand", "SubrogationColumns",
]  # fmt: skip


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnValues(_Spec):
    """Rows whose `column` (``table.column``) is one of `values`."""

    column: str
    values: list[str | int | float | bool] = Field(min_length=1)


class ContractColumns(_Spec):
    """The guarantee contracts.

    Parameters
    ----------
    table, key : str
        The table and its key.
    root_key : str
        Its column that names the row of the root table it came of.
    amount, fee_rate, guarantor_share : str
        Guaranteed amount; fee per year, and share of a loss that the guarantor bears, both as ratios. The last two may
        be left out and set by hand.
    start, end : str
        Disbursement and maturity.
    """

    table: str
    key: str
    root_key: str
    amount: str
    start: str
    end: str
    fee_rate: str | None = None
    guarantor_share: str | None = None


class SubrogationColumns(_Spec):
    """The subrogations.

    Parameters
    ----------
    table, key, contract : str
        The table, its key, and its column that names the contract.
    time, amount : str
        When it was paid, and the whole amount, all bearers together.
    bank, reguarantor, government : str, optional
        Parts that others bear, shown beside the guarantor's.
    """

    table: str
    key: str
    contract: str
    time: str
    amount: str
    bank: str | None = None
    reguarantor: str | None = None
    government: str | None = None


class RecoveryColumns(_Spec):
    """What came back after subrogations; `left_out` are rows that brought no money, such as write-offs."""

    table: str
    subrogation: str
    time: str
    amount: str
    left_out: ColumnValues | None = None


class SettingsByHand(_Spec):
    """What a person sets, in place of an estimate or beside it.

    Parameters
    ----------
    loss_given_default : float, optional
        Share of the subrogated amount that never comes back, discounted. Left out: estimated from recoveries.
    exposure_at_default : float, optional
        Subrogated over guaranteed amount. Left out: estimated.
    guarantor_share : float, optional
        Share of the loss after bank, re-guarantor and government. Left out: estimated.
    fee_rate : float, optional
        Fee per year over the guaranteed amount. Left out: estimated.
    discount_rate : float, default=0.04
        Per year, for recoveries.
    net_assets : float, optional
        Of the guarantor, in the unit of the amounts; without it there is no leverage multiple.
    subrogation_ceiling : float, default=0.04
        Highest subrogated over guaranteed amount.
    small_share_floor : float, default=0.8
        Lowest share of small, micro and agricultural customers in the amount.
    leverage_limit, leverage_limit_small : float, default=10, 15
        Highest balance borne over net assets; the second where small, micro and agricultural customers are at least
        half the amount and 80 % of the number.
    small_weight : float, default=0.75
        Weight in the balance borne of small and micro customers up to `small_most_cny` and of agricultural ones up to
        `agricultural_most_cny`.
    small_most_cny, agricultural_most_cny : float, default=5 million, 2 million
        In yuan.
    """

    loss_given_default: float | None = Field(None, ge=0, le=1)
    exposure_at_default: float | None = Field(None, gt=0, le=2)
    guarantor_share: float | None = Field(None, gt=0, le=1)
    fee_rate: float | None = Field(None, ge=0, le=0.2)
    discount_rate: float = Field(0.04, ge=0, le=0.5)
    net_assets: float | None = Field(None, gt=0)
    subrogation_ceiling: float = Field(0.04, gt=0, le=1)
    small_share_floor: float = Field(0.8, ge=0, le=1)
    leverage_limit: float = Field(10.0, gt=0)
    leverage_limit_small: float = Field(15.0, gt=0)
    small_weight: float = Field(0.75, gt=0, le=1)
    small_most_cny: float = Field(5_000_000.0, gt=0)
    agricultural_most_cny: float = Field(2_000_000.0, gt=0)


class EconomicsSpec(_Spec):
    """Where the figures of a guarantor's economics stand in the data.

    Parameters
    ----------
    amount, term_months : str
        ``table.column`` of what each row of the root table asks for.
    contract, subrogation : ContractColumns, SubrogationColumns
        The records that the assumptions are estimated from.
    recovery : RecoveryColumns, optional
        Left out: the loss given default is set by hand.
    approved : ColumnValues, optional
        Rows that the present policy approved; without it there are no swap sets.
    small, agricultural : ColumnValues, optional
        Small and micro, and agricultural customers.
    cny_per_unit : float, default=10000
        Yuan in one unit of the amounts.
    by_hand : SettingsByHand
        What is set rather than estimated.
    """

    amount: str
    term_months: str
    contract: ContractColumns
    subrogation: SubrogationColumns
    recovery: RecoveryColumns | None = None
    approved: ColumnValues | None = None
    small: ColumnValues | None = None
    agricultural: ColumnValues | None = None
    cny_per_unit: float = Field(10_000.0, gt=0)
    by_hand: SettingsByHand = SettingsByHand()
