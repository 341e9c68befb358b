"""Cache routes (contract §2.8, §5.9): usage, space checks, orphans and their clean-up."""

import hashlib

import pytest

MIB = 1024 * 1024


def put_repo(hub, repo_id: str, size: int = 2 * MIB) -> tuple:
    """A repository with one file in a hub folder, as Python leaves it; gives its folder."""
    folder = hub / ("models--" + repo_id.replace("/", "--"))
    content = repo_id.encode().ljust(size, b"x")
    blob = hashlib.sha256(content).hexdigest()
    commit = hashlib.sha1(repo_id.encode()).hexdigest()
    for part in ("blobs", "refs", f"snapshots/{commit}"):
        (folder / part).mkdir(parents=True)
    (folder / "blobs" / blob).write_bytes(content)
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots" / commit / "weights.bin").symlink_to(f"../../blobs/{blob}")
    return folder


def get(house, path, **query):
    answer = house.http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def clean_up(house, *paths):
    answer = house.http.post("/api/cache/cleanup", json=list(paths))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_config_shows_the_settings_in_effect(house):
    assert get(house, "/api/cache/config") == {
        "primary_path": str(house.cache), "primary_limit_gb": 100.0, "secondary_path": str(house.folder / "second"),
        "secondary_limit_gb": 2000.0, "usage_warning_threshold": 0.9}


def test_stats_have_both_locations_in_words_for_people(house):
    stats = get(house, "/api/cache/stats")
    assert list(stats) == ["primary", "secondary", "config"]
    assert stats["config"] == get(house, "/api/cache/config")
    for name in ("primary", "secondary"):
        usage = stats[name]
        assert list(usage)[:8] == ["path", "used", "limit", "disk_free", "disk_total", "usage_percent", "sufficient",
                                   "warning"]
        assert usage["limit"] == ("100.0 GB" if name == "primary" else "1.95 TB")
        assert usage["used"].split()[1] in ("MB", "GB") and usage["disk_total"].split()[1] in ("GB", "TB")
        assert usage["sufficient"] is True and usage["warning"] is False and usage["degraded"] is None


def test_stats_follow_what_comes_and_goes(house):
    def used():
        return float(get(house, "/api/cache/stats")["primary"]["used"].removesuffix(" MB"))

    before = used()
    put_repo(house.cache / "hub", "stats/grows", 5 * MIB)
    get(house, "/api/cache/stats", refresh="true")
    house.wait(lambda: used() >= before + 5, "the new files to be counted")
    clean_up(house, "stats/grows")
    house.wait(lambda: used() < before + 5, "the removal to be counted")


def test_check_says_whether_so_much_more_fits(house):
    answer = house.http.post("/api/cache/check", params={"required_space_mb": "2048"}).json()
    assert list(answer) == ["cache_path", "cache_size_gb", "cache_limit_gb", "disk_free_gb", "disk_total_gb",
                            "disk_usage_percent", "projected_usage_gb", "usage_percent", "sufficient", "warning",
                            "required_space_mb"]
    assert answer["cache_path"] == str(house.cache) and answer["required_space_mb"] == 2048.0
    assert answer["projected_usage_gb"] == pytest.approx(answer["cache_size_gb"] + 2)
    assert answer["usage_percent"] == pytest.approx(answer["projected_usage_gb"] / 100.0 * 100.0)
    full = house.http.post("/api/cache/check", params={"cache_location": "primary", "required_space_mb": 101 * 1024}).json()
    assert full["sufficient"] is False and full["warning"] is True


@pytest.mark.parametrize("word", ["custom", "moon", ""])
def test_check_of_another_location_is_always_sufficient(house, word):
    answer = house.http.post("/api/cache/check", params={"cache_location": word, "required_space_mb": "5"})
    assert answer.json() == {"sufficient": True, "warning": False}


def test_recommend_takes_the_secondary_when_the_primary_would_be_nearly_full(house):
    small = get(house, "/api/cache/recommend")
    assert small == {"recommended_cache": "primary", "estimated_size_mb": 5000.0, "estimated_size_gb": 5000 / 1024}
    assert get(house, "/api/cache/recommend", estimated_size_mb=95 * 1024)["recommended_cache"] == "secondary"


def test_orphans_are_repositories_that_no_row_names(house):
    put_repo(house.cache / "hub", "orphan/one", 3 * MIB)
    put_repo(house.folder / "second" / "hub", "gpt2")
    put_repo(house.cache, "orphan/of-cache-dir")  # cache_dir=<root> users
    put_repo(house.cache / "hub", "kept/model")
    put_repo(house.cache / "hub", "kept/variant")
    house.register(hf_path="kept/model")
    house.register(hf_path="kept/variant:Q4_K_M")
    found = get(house, "/api/cache/orphaned")
    models = {model["hf_path"]: model for model in found["orphaned_models"]}
    assert set(models) == {"orphan/one", "orphan/of-cache-dir", "gpt2"}
    assert models["orphan/one"] == {
        "hf_path": "orphan/one", "directory": str(house.cache / "hub" / "models--orphan--one"), "cache_type": "primary",
        "size_mb": 3.0, "size_gb": 3 / 1024}
    assert models["gpt2"]["cache_type"] == "secondary"
    assert found["count"] == 3 and found["total_size_mb"] == pytest.approx(7.0)
    assert found["total_size_gb"] == pytest.approx(7 / 1024)

    done = clean_up(house, "orphan/one", "gpt2", "kept/model", "nobody/knows", "../escape", "orphan/of-cache-dir")
    assert [entry["hf_path"] for entry in done["deleted"]] == ["orphan/one", "gpt2", "orphan/of-cache-dir"]
    assert done["deleted"][0]["directory"] == models["orphan/one"]["directory"]
    assert done["deleted"][0]["cache_type"] == "primary" and done["deleted"][0]["freed_space_mb"] >= 3
    assert done["deleted_count"] == 3 and done["total_freed_mb"] >= 7
    assert [entry["hf_path"] for entry in done["errors"]] == ["kept/model", "nobody/knows", "../escape"]
    assert done["error_count"] == 3
    assert not (house.cache / "hub" / "models--orphan--one").exists()
    assert (house.cache / "hub" / "models--kept--model").exists()
    assert get(house, "/api/cache/orphaned")["orphaned_models"] == []
