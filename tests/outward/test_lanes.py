"""Who leaves next: of each lane the oldest, when it is due, and nobody waits for another lane."""

from __future__ import annotations

from hub.outward.lanes import Lanes
from hub.outward.parcel import Slip


def slip(number: int, lane: str, due: int = 0) -> Slip:
    return Slip(number, "webhook", lane, due, 0)


def test_of_a_lane_one_is_away_at_a_time_and_the_others_flow() -> None:
    lanes = Lanes()
    lanes.add([slip(1, "a"), slip(2, "a"), slip(3, "b")])
    assert [lanes.take(0), lanes.take(0), lanes.take(0)] == [slip(1, "a"), slip(3, "b"), None]
    lanes.release(slip(1, "a"), None)
    assert lanes.take(0) == slip(2, "a")


def test_what_waits_again_keeps_its_place_and_holds_only_its_own_lane() -> None:
    lanes = Lanes()
    lanes.add([slip(1, "a"), slip(2, "a"), slip(3, "b")])
    taken = lanes.take(0)
    assert taken == slip(1, "a")
    lanes.release(taken, slip(1, "a", due=50))
    assert [lanes.take(10), lanes.take(10)] == [slip(3, "b"), None]
    assert lanes.next_due() == 50
    assert lanes.take(50) == slip(1, "a", due=50)


def test_an_older_one_that_waits_again_goes_before_the_younger() -> None:
    lanes = Lanes()
    lanes.add([slip(5, "a"), slip(2, "a")])
    assert lanes.take(0) == slip(2, "a")


def test_an_older_one_that_comes_while_a_younger_is_away_waits_for_it() -> None:
    lanes = Lanes()
    lanes.add([slip(5, "a")])
    away = lanes.take(0)
    assert away == slip(5, "a")
    lanes.add([slip(2, "a")])
    assert (lanes.take(0), lanes.next_due()) == (None, None)
    lanes.release(away, None)
    assert lanes.take(0) == slip(2, "a")


def test_one_that_is_told_twice_waits_once() -> None:
    lanes = Lanes()
    lanes.add([slip(1, "a"), slip(1, "a")])
    taken = lanes.take(0)
    assert taken is not None
    lanes.add([slip(1, "a")])
    lanes.release(taken, None)
    assert (lanes.take(0), lanes.waiting, lanes.next_due()) == (None, 0, None)


def urgent(number: int, lane: str, due: int = 0) -> Slip:
    return slip(number, lane, due)._replace(is_urgent=1)


def test_what_is_urgent_passes_others_with_what_waits_before_it_in_its_lane() -> None:
    lanes = Lanes()
    lanes.add([slip(1, "a"), slip(2, "b"), slip(3, "c"), urgent(4, "c"), urgent(5, "d", due=9)])
    assert lanes.take(5, urgent_first=False) == slip(1, "a")
    assert lanes.take(5) == slip(3, "c")
    lanes.release(slip(3, "c"), slip(3, "c", due=7))
    assert [lanes.take(6), lanes.take(6)] == [slip(2, "b"), None]
    assert lanes.next_due() == 7
    assert lanes.take(9) == slip(3, "c", due=7)
    lanes.release(slip(3, "c", due=7), None)
    assert [lanes.take(9), lanes.take(9), lanes.take(9)] == [urgent(4, "c"), urgent(5, "d", due=9), None]
    assert lanes.waiting == 4


def test_an_older_one_that_came_meanwhile_and_a_clock_that_was_set_do_not_hide_what_is_away() -> None:
    lanes = Lanes()
    lanes.add([slip(5, "a", due=20), slip(7, "a", due=20)])
    away = lanes.take(20)
    assert away == slip(5, "a", due=20)
    lanes.add([slip(3, "a", due=20)])
    lanes.shift(-15)
    lanes.release(away, None)
    assert (lanes.take(4), lanes.take(5)) == (None, slip(3, "a", due=5))
    lanes.release(slip(3, "a", due=5), None)
    assert (lanes.take(5), lanes.waiting) == (slip(7, "a", due=5), 1)
