import hashlib

from mayak.training.plan import Plan, deal


def plan(**changes):
    values = {
        "samples": 10,
        "epochs": 2,
        "batch_size": 2,
        "accumulate": 2,
        "processes": 1,
        "validations_per_epoch": 2,
        "seed": 7,
    }
    return Plan(**(values | changes))


def flat(batches):
    return [index for batch in batches for index in batch]


def test_counts_by_hand():
    p = plan()  # 10 samples: batches of 2,2,2,2,2; steps of 4,4,2 samples
    assert (p.batches_per_epoch, p.steps_per_epoch, p.total_steps) == (5, 3, 6)
    assert p.effective_batch == 4
    assert [p.passes(s) for s in range(1, 7)] == [2, 2, 1, 2, 2, 1]
    assert [p.samples_in(s) for s in range(1, 7)] == [4, 4, 2, 4, 4, 2]


def test_a_short_last_batch_counts_its_samples():
    p = plan(samples=7)  # batches of 2,2,2,1; steps of 4,3
    assert [p.passes(s) for s in (1, 2)] == [2, 2]
    assert [p.samples_in(s) for s in (1, 2)] == [4, 3]
    assert [len(b) for b in p.batches(0)][:4] == [2, 2, 2, 1]


def test_every_epoch_takes_every_sample_once_in_an_order_of_its_own():
    p = plan(samples=50)
    first, second = p.order(0), p.order(1)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    assert first != plan(samples=50, seed=8).order(0)
    assert flat(p.batches(0)) == first + second


def test_resuming_after_any_step_takes_exactly_the_remaining_batches():
    p = plan(samples=11, accumulate=3, epochs=3)
    whole = list(p.batches(0))
    gone = 0
    for done in range(p.total_steps + 1):
        assert list(p.batches(done)) == whole[gone:]
        if done < p.total_steps:
            gone += p.passes(done + 1)
    assert gone == len(whole)


def test_validations_are_spread_evenly_and_end_every_epoch():
    p = plan(samples=88, validations_per_epoch=4)  # 22 steps an epoch
    assert p.validation_steps == (6, 11, 17, 22, 28, 33, 39, 44)


def test_more_validations_than_steps_is_one_after_each_step():
    assert plan(validations_per_epoch=9).validation_steps == (1, 2, 3, 4, 5, 6)


def test_rounds_cover_what_is_left_and_end_at_validations():
    p = plan(samples=40, validations_per_epoch=2, epochs=1)  # 10 steps, validated at 5 and 10
    assert p.rounds(0) == [range(1, 6), range(6, 11)]
    assert p.rounds(3) == [range(4, 6), range(6, 11)]
    assert p.rounds(5) == [range(6, 11)]
    assert p.rounds(10) == []


def test_processes_share_an_epoch_equally():
    p = plan(samples=10, processes=3, batch_size=2, accumulate=1, epochs=1)
    shares = [list(p.batches(0, process)) for process in range(3)]
    assert [[len(b) for b in share] for share in shares] == [[2, 2]] * 3
    seen = [index for share in shares for index in flat(share)]
    assert set(seen) == set(range(10))
    assert len(seen) == 12  # two samples twice, so that nobody waits for ever
    assert p.samples_in(1) == p.samples_in(2) == 2


def test_processes_with_short_last_batches_count_their_own_samples():
    # 11 samples are 6 for each of two processes: batches of 4 and 2, each a step.
    p = plan(samples=11, processes=2, batch_size=4, accumulate=1, epochs=1)
    assert (p.batches_per_epoch, p.steps_per_epoch, p.total_steps) == (2, 2, 2)
    assert p.effective_batch == 8
    assert [p.passes(s) for s in (1, 2)] == [1, 1]
    assert [p.samples_in(s) for s in (1, 2)] == [4, 2]
    for process in range(2):
        batches = list(p.batches(0, process))
        assert [len(batch) for batch in batches] == [4, 2]
        assert list(p.batches(1, process)) == batches[1:]


def test_the_long_images_of_a_step_are_dealt_to_different_processes():
    lengths = [9, 1, 8, 2, 5, 5]
    # Longest first: 9 and 8; then 5 to each, the first to the process with 8; then 2 to the one
    # with 13 and 1 to the one with 14.
    assert deal([0, 1, 2, 3, 4, 5], 2, lengths) == [[0, 5, 1], [2, 4, 3]]
    assert deal([0, 1, 2, 3, 4, 5], 2) == [[0, 2, 4], [1, 3, 5]]


def test_lengths_change_who_takes_an_image_but_no_step():
    # 25 samples are 9 for each of three processes; two are repeated at the end.
    p = plan(samples=25, processes=3, epochs=2)
    lengths = [sample % 7 for sample in range(25)]
    shares = [list(p.batches(0, process, lengths)) for process in range(3)]
    in_turn = [list(p.batches(0, process)) for process in range(3)]
    assert [[len(b) for b in own] for own in shares] == [[2, 2, 2, 2, 1] * 2] * 3
    assert shares != in_turn
    start = 0
    for step in range(1, p.total_steps + 1):
        end = start + p.passes(step)
        taken, before = (
            sorted(sample for own in way for sample in flat(own[start:end]))
            for way in (shares, in_turn)
        )
        assert taken == before
        for process, own in enumerate(shares):
            assert list(p.batches(step, process, lengths)) == own[end:]
        start = end


def test_several_processes_gather_several_batches_for_a_step():
    # 25 samples are 9 for each of three processes: batches of 2, 2, 2, 2, 1; steps of 4, 4, 1.
    p = plan(samples=25, processes=3, epochs=2)
    assert (p.batches_per_epoch, p.steps_per_epoch, p.total_steps) == (5, 3, 6)
    assert [p.passes(s) for s in range(1, 7)] == [2, 2, 1, 2, 2, 1]
    assert [p.samples_in(s) for s in range(1, 7)] == [4, 4, 1, 4, 4, 1]
    assert [len(batch) for batch in p.batches(4, 2)] == [2, 2, 1]


def test_validation_cuts_an_epoch_of_uneven_rounds():
    p = plan(samples=40, validations_per_epoch=3, epochs=2)  # validated at 4, 7 and 10 of 10
    assert p.validation_steps == (4, 7, 10, 14, 17, 20)
    assert p.rounds(4) == [range(5, 8), range(8, 11), *p.rounds(10)]
    assert p.rounds(10) == [range(11, 15), range(15, 18), range(18, 21)]


def test_random_numbers_differ_by_step_batch_and_process_and_follow_the_seed():
    p = plan()
    seeds = {p.seed_of(s, b, r) for s in range(3) for b in range(3) for r in range(3)}
    assert len(seeds) == 27
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert plan().seed_of(1, 2, 3) == p.seed_of(1, 2, 3)
    assert plan(seed=8).seed_of(1, 2, 3) != p.seed_of(1, 2, 3)
    # A checkpoint resumed by a later version goes on with the same numbers.
    first = hashlib.sha256(b"7/1/2/3").digest()[:8]
    assert p.seed_of(1, 2, 3) == int.from_bytes(first, "big") // 2
