import numpy as np
import pytest

from mayak.review.regions import region, regions


@pytest.mark.parametrize(
    ("latitude", "longitude", "name"),
    [
        (37.5663, 126.9779, "서울특별시 중구"),  # the city hall
        (35.1587, 129.1604, "부산광역시 해운대구"),  # the beach
        (33.4587, 126.9427, "제주특별자치도 서귀포시"),  # Seongsan Ilchulbong
        (36.4800, 127.2890, "세종특별자치시"),  # the government complex
        (37.4845, 130.9057, "경상북도 울릉군"),
        (35.6762, 139.6503, None),  # Tokyo
        (36.0, 131.5, None),  # at sea
    ],
)
def test_places_have_their_district(latitude, longitude, name):
    found = region(latitude, longitude)
    assert found == name or (found or "").startswith(f"{name} ")


def test_many_positions_have_the_districts_that_each_has_alone():
    random = np.random.default_rng(5)
    places = random.uniform((33, 125.5), (38.6, 130), (3000, 2))
    found = regions(places)
    assert found[:200] == [region(*place) for place in places[:200]]
    assert {type(name) for name in found} == {str, type(None)}


def test_districts_of_a_city_are_written_apart():
    assert region(37.2636, 127.0286) == "경기도 수원시 팔달구"
    assert region(37.5894, 127.0167) == "서울특별시 성북구"
