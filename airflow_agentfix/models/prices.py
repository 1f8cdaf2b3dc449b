"""What a model call costs: by `[agentfix] prices` where it names the model, else by genai-prices."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from decimal import Decimal
from fnmatch import fnmatchcase

from genai_prices import Usage, calc_price
from genai_prices.types import ModelPrice

from airflow_agentfix.ports import Json
from airflow_agentfix.settings import Price, Settings

log = logging.getLogger(__name__)


def dollars(model: str, usage: Json, prices: Sequence[Price] = ()) -> float:
    """What the call cost. A model without a known price is counted as the default one, so that the budget still holds."""
    priced = _priced(usage)
    if (own := next((price for price in prices if fnmatchcase(model, price.model)), None)) is not None:
        return float(_model_price(own).calc_price(priced)["total_price"])
    try:
        return float(calc_price(priced, model, provider_id="anthropic").total_price)
    except LookupError:
        log.warning("No price known for model %s; counted as %s. [agentfix] prices can name it.", model, Settings.model)
        return float(calc_price(priced, Settings.model, provider_id="anthropic").total_price)


def _priced(usage: Json) -> Usage:
    """The Messages API counts what came from the cache and what went into it apart from the input; genai-prices as part of it."""
    cached, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
    return Usage(
        input_tokens=usage["input_tokens"] + cached + written,
        output_tokens=usage["output_tokens"],
        cache_read_tokens=cached,
        cache_write_tokens=written,
    )


def _model_price(price: Price) -> ModelPrice:
    named = {
        "input_mtok": price.input,
        "output_mtok": price.output,
        "cache_read_mtok": price.cache_read,
        "cache_write_mtok": price.cache_write,
    }
    return ModelPrice(**{name: Decimal(str(value)) for name, value in named.items() if value is not None})
