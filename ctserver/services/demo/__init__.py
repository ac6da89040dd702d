"""A plausible shop's sessions, visits and calls, for demonstrations and measurements. Every row is marked: calls by the
PBX `MARK`, visitors by the prefix of their id."""

from ctserver.services.demo.shop import MARK, Day, Shop, shop_of
from ctserver.services.demo.write import fill, remove

__all__ = ["MARK", "Day", "Shop", "fill", "remove", "shop_of"]
