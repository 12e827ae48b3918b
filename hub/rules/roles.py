"""The roles that rules which ship name in ``escalate``: whom a step tells, in the words of both languages."""

from __future__ import annotations

from collections.abc import Mapping

ROLES: Mapping[str, Mapping[str, str]] = {
    "property_lead": {"en": "head of the property management", "zh": "物业负责人"},
    "maintenance_backup": {"en": "second maintenance company", "zh": "二级维保单位"},
    "rescue_centre": {"en": "elevator rescue centre of the city", "zh": "电梯应急处置平台"},
    "gas_company": {"en": "gas company", "zh": "燃气公司"},
    "family": {"en": "family, or whom the person named", "zh": "家属或紧急联系人"},
    "community": {"en": "residents' committee", "zh": "社区居委会"},
    "street": {"en": "sub-district office", "zh": "街道办"},
    "city": {"en": "city authority", "zh": "市级主管部门"},
}


def role_zh(role: str) -> str:
    """Return what a role is called in Chinese; one of an installation's own by its name."""
    return ROLES[role]["zh"] if role in ROLES else role
