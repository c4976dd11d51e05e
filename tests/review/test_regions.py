import pytest

from mayak.review.regions import region


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
