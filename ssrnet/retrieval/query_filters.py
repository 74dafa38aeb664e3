"""Which queries count, by an attribute: slices of a protocol that leave its gallery whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import DataError, SettingsError

NONE = "none"
MOST_SLICES = 20


@dataclass(frozen=True)
class QueryFilter:
    """Queries that have one of ``values``; without values all that have the attribute, or lack it if ``lacking``."""

    attribute: str
    values: tuple[str, ...] = ()
    lacking: bool = False

    @classmethod
    def parse(cls, text: str, dataset: ReIDDataset, option: str = "--queries") -> QueryFilter:
        """From ``sibling_group`` (any value), ``sibling_group=none`` (no value) or ``vehicle_type=car,truck``.

        An attribute that has "none" among its values means that value by it. Raises :class:`SettingsError`
        for text of another form, :class:`DataError` for an attribute or value that no test image has.
        """
        attribute, equals, values = text.partition("=")
        if not attribute or (equals and not values):
            raise SettingsError(
                f"{option} is {text!r}; write an attribute alone, as sibling_group, or with values, "
                f"as vehicle_type=car,truck or sibling_group={NONE}."
            )
        known = known_values(dataset, attribute)
        if not equals:
            return cls(attribute)
        if values == NONE and NONE not in known:
            if not _some_lack(dataset, attribute):
                raise DataError(f"every test image of {dataset.name} has the attribute {attribute}; none is without.")
            return cls(attribute, lacking=True)
        check_values(dataset, attribute, values.split(","))
        return cls(attribute, tuple(values.split(",")))

    def __str__(self) -> str:
        """As it is written on the command line."""
        chosen = NONE if self.lacking else ",".join(self.values)
        return f"{self.attribute}={chosen}" if chosen else self.attribute

    @property
    def title(self) -> str:
        """As a heading says it."""
        if self.values:
            return f"{self.attribute} {', '.join(self.values)}"
        return f"{'without' if self.lacking else 'with'} {self.attribute}"

    def rows(self, queries: Sequence[VehicleImage]) -> list[int]:
        """Positions of the queries that count."""
        return [i for i, image in enumerate(queries) if self._counts(image.attributes.get(self.attribute))]

    def required_rows(self, queries: Sequence[VehicleImage]) -> list[int]:
        """As :meth:`rows`; raises :class:`DataError` where none counts."""
        rows = self.rows(queries)
        if not rows:
            raise DataError(
                f"{self} leaves none of the {len(queries):,} queries; choose other queries, "
                "or a protocol under which such images ask."
            )
        return rows

    def _counts(self, value: str | None) -> bool:
        if self.values:
            return value in self.values
        return (value is None) == self.lacking


def slices(text: str, dataset: ReIDDataset) -> list[QueryFilter]:
    """The slices that ``text`` stands for.

    An attribute alone gives two where some test images lack it, with and without, else one a value; what
    names values is one slice. Raises as :meth:`QueryFilter.parse`, and :class:`DataError` for an attribute
    with more than 20 values.
    """
    whole = QueryFilter.parse(text, dataset, "--slices")
    if whole.values or whole.lacking:
        return [whole]
    if _some_lack(dataset, whole.attribute):
        return [whole, QueryFilter(whole.attribute, lacking=True)]
    values = sorted(known_values(dataset, whole.attribute))
    if len(values) > MOST_SLICES:
        raise DataError(
            f"{whole.attribute} has {len(values):,} values in {dataset.name}, too many for one slice per value "
            f"(at most {MOST_SLICES}); name some, as --slices {whole.attribute}={values[0]},{values[1]}."
        )
    return [QueryFilter(whole.attribute, (value,)) for value in values]


def known_values(dataset: ReIDDataset, attribute: str) -> set[str]:
    """The attribute's values among the test images; raises :class:`DataError` where none has it."""
    values = {image.attributes[attribute] for image in dataset.test if attribute in image.attributes}
    if not values:
        names = sorted({name for image in dataset.test for name in image.attributes})
        raise DataError(
            f"no test image of {dataset.name} has the attribute {attribute}; they have {', '.join(names) or 'none'}."
        )
    return values


def _some_lack(dataset: ReIDDataset, attribute: str) -> bool:
    return any(attribute not in image.attributes for image in dataset.test)


def check_values(dataset: ReIDDataset, attribute: str, values: Iterable[str]) -> None:
    """Raises :class:`DataError` for a value that no test image has."""
    known = known_values(dataset, attribute)
    absent = sorted(set(values) - known)
    if absent:
        raise DataError(
            f"no test image of {dataset.name} has {attribute} {', '.join(absent)}; it has {', '.join(sorted(known))}."
        )
