from runner.report.sweep.pareto_live import pareto_live


def points(panel) -> dict[str, tuple[float, float]]:
    return {one["name"]: (one["x"][0], one["y"][0]) for one in panel["points"]}


def test_settings_the_base_and_what_was_measured_afresh_are_points(chosen):
    live = pareto_live(chosen)
    assert live is not None
    robust, natural = live["panels"]
    assert natural["x"]["title"] == "natural accuracy (%)"
    assert points(robust) == {
        "weight 0.0, 16 models": (36, 20),
        "weight 0.4, 16 models": (34, 10),
        "weight 0.2, 16 models": (35, 15),
        "weight 1.0, 8 models": (30, 12),
        "base": (36, 20),
        "recommended, fresh seed": (33, 15),
    }
    (stopped,) = [one for one in robust["points"] if one["name"].endswith("8 models")]
    assert stopped["look"]["hollow"]
    names = [series["name"] for series in live["series"]]
    assert names[-2:] == ["base", "recommended, fresh seed"]
    assert [names[one["of"]] for one in robust["points"][:4]] == [
        *("weight 0.0", "weight 0.4", "weight 0.2", "weight 1.0")
    ]


def test_the_front_is_a_staircase_of_what_none_beats(chosen):
    live = pareto_live(chosen)
    assert live is not None
    (front,) = [guide["path"] for guide in live["panels"][0]["guides"] if "path" in guide]
    assert front == [[34, 10], [34, 15], [35, 15], [35, 20], [36, 20]]


def test_what_was_not_measured_is_not_drawn(chosen):
    chosen["trials"] = [chosen["trials"][4]]
    assert pareto_live(chosen) is None
