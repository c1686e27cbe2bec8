"""Beside the models: risk rules, enterprise profiles and credit reports, joined in one replayable decision.

Nothing stands here yet; the floor is kept free for `rules`, `decision`, `enterprise_profile` and `credit_report`.
"""
