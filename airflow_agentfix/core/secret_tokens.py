"""Tokens known by a prefix or a shape that their vendor chose so that they can be told from other text.

Only those that detect-secrets does not know, or knows with a pattern that misses some. Each stands beside a marker: text that
every such token holds. A pattern is tried only where its marker is, which costs next to nothing where it is not.
"""

from __future__ import annotations

import re

_MIXED = r"(?=[\w\-]{0,40}?\d)(?=[\w\-]{0,40}?[A-Z])(?=[\w\-]{0,40}?[a-z])"
"""a digit, an upper- and a lower-case letter: no word of a language, no hash"""

# (marker, what follows it). `\w` is ASCII here.
_AFTER: tuple[tuple[str, str], ...] = (
    ("github_pat_", r"\w{22,}"),
    ("ghp_", r"[A-Za-z0-9]{30,}"),
    ("gho_", r"[A-Za-z0-9]{30,}"),
    ("ghu_", r"[A-Za-z0-9]{30,}"),
    ("ghs_", r"[A-Za-z0-9]{30,}"),
    ("ghr_", r"[A-Za-z0-9]{30,}"),
    ("glpat-", r"[\w\-.]{20,}"),
    ("gldt-", r"[\w\-]{20,}"),
    ("glrt-", r"[\w\-.]{20,}"),
    ("glsa_", r"[A-Za-z0-9]{32}_[0-9a-f]{8}"),
    ("glc_", r"[A-Za-z0-9+/=]{32,}"),
    ("ATBB", r"[A-Za-z0-9=]{28,}"),
    ("ATATT3", r"[\w\-=]{60,}"),
    ("ATCTT3", r"[\w\-=]{60,}"),
    ("sk-ant-", r"[\w\-]{16,}"),
    ("sk-proj-", r"[\w\-]{16,}"),
    ("sk-svcacct-", r"[\w\-]{16,}"),
    ("sk-or-", r"[\w\-]{16,}"),
    ("sk-lf-", r"[\w\-]{16,}"),
    ("sk-", r"[A-Za-z0-9]{40,}"),
    ("gsk_", r"[A-Za-z0-9]{40,}"),
    ("pplx-", r"[A-Za-z0-9]{40,}"),
    ("r8_", r"[A-Za-z0-9]{37,40}"),
    ("xai-", r"[A-Za-z0-9]{60,}"),
    ("pcsk_", r"\w{40,}"),
    ("lsv2_", r"(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    ("hf_", r"[A-Za-z0-9]{30,}"),
    ("api_org_", r"[A-Za-z0-9]{34}"),
    ("AIza", r"[\w\-]{35}"),
    ("ya29.", r"[\w\-.]{20,}"),
    ("GOCSPX-", r"[\w\-]{20,}"),
    ("1//0", r"[\w\-]{30,}"),
    ("dapi", r"[0-9a-f]{32}(?:-\d)?"),
    ("dkea", r"[0-9a-f]{32}"),
    ("dose", r"[0-9a-f]{32}"),
    ("dbtu_", r"[\w\-]{30,}"),
    ("dbtc_", r"[\w\-]{30,}"),
    ("pnu_", r"[A-Za-z0-9]{36}"),
    ("pnb_", r"[A-Za-z0-9]{36}"),
    ("hvs.", r"[\w\-]{24,}"),
    ("hvb.", r"[\w\-]{24,}"),
    ("hvr.", r"[\w\-]{24,}"),
    ("dop_v1_", r"[0-9a-f]{64}"),
    ("doo_v1_", r"[0-9a-f]{64}"),
    ("dor_v1_", r"[0-9a-f]{64}"),
    ("shpat_", r"[0-9a-fA-F]{32}"),
    ("shpca_", r"[0-9a-fA-F]{32}"),
    ("shppa_", r"[0-9a-fA-F]{32}"),
    ("shpss_", r"[0-9a-fA-F]{32}"),
    ("dp.", r"(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9.]{40,}"),
    ("NRAK-", r"[\w\-]{20,}"),
    ("NRII-", r"[\w\-]{20,}"),
    ("NRIQ-", r"[\w\-]{20,}"),
    ("NRRA-", r"[\w\-]{20,}"),
    ("dt0", r"[a-z]\d{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}"),
    ("lin_api_", r"[A-Za-z0-9]{32,}"),
    ("lin_oauth_", r"[A-Za-z0-9]{32,}"),
    ("ntn_", r"[A-Za-z0-9]{40,}"),
    ("secret_", r"[A-Za-z0-9]{43}"),
    ("PMAK-", r"[0-9a-f]{24}-[0-9a-f]{34}"),
    ("pscale_", r"(?:tkn|pw|oauth)_[\w\-.=]{32,}"),
    ("sbp_", r"[0-9a-f]{40}"),
    ("nfp_", r"[A-Za-z0-9]{36}"),
    ("HRKU-", r"[\w\-]{30,}"),
    ("fm2_", r"[A-Za-z0-9+/=]{60,}"),
    ("bkua_", r"[0-9a-f]{40}"),
    ("CCIPAT_", r"[A-Za-z0-9]{20,}_[0-9a-f]{40}"),
    ("sqp_", r"[0-9a-f]{40}"),
    ("squ_", r"[0-9a-f]{40}"),
    ("sqa_", r"[0-9a-f]{40}"),
    ("pul-", r"[0-9a-f]{40}"),
    ("dckr_pat_", r"[\w\-]{24,}"),
    ("dckr_oat_", r"[\w\-]{24,}"),
    ("npm_", r"[A-Za-z0-9]{36}"),
    ("oy2", r"[a-z0-9]{43}"),
    ("rubygems_", r"[0-9a-f]{48}"),
    ("pypi-", r"[\w\-]{50,}"),
    ("AKCp", r"[A-Za-z0-9]{50,}"),
    ("sk_live_", r"[A-Za-z0-9]{16,}"),
    ("sk_test_", r"[A-Za-z0-9]{16,}"),
    ("pk_live_", r"[A-Za-z0-9]{16,}"),
    ("rk_live_", r"[A-Za-z0-9]{16,}"),
    ("rk_test_", r"[A-Za-z0-9]{16,}"),
    ("whsec_", r"[A-Za-z0-9+/=]{24,}"),
    ("access-", r"(?:sandbox|development|production)-[0-9a-f]{8}-[0-9a-f\-]{27}"),
    ("xoxe.", r"xox[bp]-[A-Za-z0-9\-]{10,}"),
    ("xapp-", r"\d-[A-Za-z0-9\-]{20,}"),
    ("AGE-SECRET-KEY-1", r"[A-Z0-9]{58}"),
    ("sk.eyJ", r"[\w\-]{20,}\.[\w\-]{20,}"),
    ("EAA", r"[A-Za-z]?[A-Za-z0-9]{80,}"),
    ("sntrys_", r"[\w+/=\-]{40,}"),
    ("sntryu_", r"[\w+/=\-]{40,}"),
    ("figd_", r"[\w\-]{40,}"),
    ("key-", r"[0-9a-f]{32}"),
    ("SG.", r"[\w\-]{16,}\.[\w\-]{16,}"),
    ("xkeysib-", r"[0-9a-f]{64}-[A-Za-z0-9]{16}"),
    ("tskey-", r"[a-z]+-[A-Za-z0-9\-]{16,}"),
    ("sl.", r"[\w\-]{120,}"),
    ("ops_eyJ", r"[\w\-=]{60,}"),
    ("LTAI", r"[A-Za-z0-9]{16,24}"),
    ("AKID", r"[A-Za-z0-9]{32}"),
    ("AKIA", r"[0-9A-Z]{16}"),
    ("ASIA", r"[0-9A-Z]{16}"),
    ("AQVN", r"[\w\-]{35,}"),
    ("y0_", r"[\w\-]{50,}"),
    ("t1.", r"[\w\-]{60,}={0,2}(?:\.[\w\-]{60,}={0,2})?"),
    ("aio_", r"[A-Za-z0-9]{28}"),
    ("tfp_", r"[\w\-]{40,}"),
    ("gAAAAA", r"[\w\-]{60,}={0,2}"),
    ("v1.0-", r"[0-9a-f]{24}-[0-9a-f]{100,}"),
    ("AC", r"[0-9a-f]{32}"),
    ("SK", r"[0-9a-f]{32}"),
    ("eyJ", r"[\w\-]{8,2000}\.[\w\-]{8,}(?:\.[\w\-]*){0,3}"),
    ("sk-", r"[\w\-]{20,200}T3BlbkFJ[\w\-]{20,}"),
    ("s.", _MIXED + r"[A-Za-z0-9]{24}"),
    ("xox", r"[abeoprs]-[A-Za-z0-9\-]{10,}"),
    ("pat", r"[A-Za-z0-9]{14}\.[0-9a-f]{64}"),
    ("pat-", r"[a-z]{2}\d-[0-9a-f]{8}-[0-9a-f\-]{27}"),
)


def _token(start: str, rest: str) -> re.Pattern[str]:
    """`start` and `rest`, no letter or digit around them; an escaped line end or a percent-encoded sign before is none.

    What comes before is looked at behind `start`: a pattern that begins with plain text is searched for several times faster.
    """
    begin = re.escape(start)
    edge = rf"(?:(?<![A-Za-z0-9]{begin})|(?<=\\[nrtf]{begin})|(?<=%[0-9A-F][0-9A-F]{begin}))"
    return re.compile(rf"{begin}{edge}{rest}(?![A-Za-z0-9])", re.ASCII)


TOKENS: tuple[tuple[str, re.Pattern[str]], ...] = (
    *((marker, _token(marker, rest)) for marker, rest in _AFTER),
    ("Q~", re.compile(r"[\w~.\-]{3}[78]Q~[\w~.\-]{31,34}(?![A-Za-z0-9])", re.ASCII)),
    (".atlasv1.", re.compile(r"[A-Za-z0-9]{14}\.atlasv1\.[\w\-]{60,}", re.ASCII)),
    ("ETMsDg", re.compile(r"(?:ver:\d{1,9}-hint:\d{1,20}-)?ETMsDg[\w+/=\-]{20,}", re.ASCII)),
    ("SSWS ", re.compile(r"(?<=SSWS )[\w\-]{30,}", re.ASCII)),
)
"""(marker, pattern): the whole match is the secret"""
