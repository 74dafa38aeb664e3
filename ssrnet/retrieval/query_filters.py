"""Filters by an attribute: of queries, which leave the gallery whole, and of all test images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ssrnet.data.records import ReIDDataset, VehicleImage
from ssrnet.errors import DataError, SettingsError

NONE = "none"
MOST_SLICES = 20


@dataclass(frozen=True)
class QueryFilter:
    """Queries with one of ``values``; without values all that have the attribute, or with ``lacking`` all without."""

    attribute: str
    values: tuple[str, ...] = ()
    lacking: bool = False

    @classmethod
    def parse(cls, text: str, dataset: ReIDDataset, option: str = "--queries") -> QueryFilter:
        """From ``sibling_group`` (any value), ``sibling_group=none`` (no value) or ``vehicle_type=car,truck``.

        Where "none" is a value of the attribute, it means that value. Raises :class:`SettingsError`
        for malformed text, :class:`DataError` for an attribute or value that no test image has.
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
        """As on the command line."""
        chosen = NONE if self.lacking else ",".join(self.values)
        return f"{self.attribute}={chosen}" if chosen else self.attribute

    @property
    def title(self) -> str:
        """As in a heading."""
        if self.values:
            return f"{self.attribute} {', '.join(self.values)}"
        return f"{'without' if self.lacking else 'with'} {self.attribute}"

    def rows(self, queries: Sequence[VehicleImage]) -> list[int]:
        """Positions of the selected queries."""
        return [i for i, image in enumerate(queries) if self._counts(image.attributes.get(self.attribute))]

    def required_rows(self, queries: Sequence[VehicleImage]) -> list[int]:
        """As :meth:`rows`; raises :class:`DataError` where no query is selected."""
        rows = self.rows(queries)
        if not rows:
            raise DataError(
                f"{self} leaves none of the {len(queries):,} queries; choose other queries, "
                "or a protocol under which such images are queries."
            )
        return rows

    def _counts(self, value: str | None) -> bool:
        if self.values:
            return value in self.values
        return (value is None) == self.lacking


def parse_slices(text: str, dataset: ReIDDataset) -> list[QueryFilter]:
    """The slices of one --slices value.

    An attribute alone gives two slices, with and without it, where some test images lack it, else one per value;
    an attribute with values is one slice. Raises as :meth:`QueryFilter.parse`, and :class:`DataError` for an
    attribute with more than 20 values.
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


def filter_test_images(dataset: ReIDDataset, attribute: str, values: Iterable[str]) -> ReIDDataset:
    """The data set with only the test images whose ``attribute`` is one of ``values``; train is unchanged.

    Raises :class:`DataError` for a value that no test image has.
    """
    chosen = set(values)
    check_values(dataset, attribute, chosen)
    filtered = {
        split: tuple(image for image in getattr(dataset, split) if image.attributes.get(attribute) in chosen)
        for split in ("query", "gallery")
    }
    return replace(dataset, **filtered)


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
