"""Downloads from a Hub that misbehaves: what arrives is right, or nothing becomes visible and the message says why."""

import json

import pytest
from downloads import REPO, check_complete, check_visible_is_right, fetch, fetch_ok, model_files, repo_folder

BIG = "model-00001-of-00002.safetensors"
SMALL = "extra_3.json"


@pytest.fixture
def repo(fault_hub):
    return fault_hub.add(REPO, model_files())


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "hub"


def failed(hub, folder, repo, reference=REPO, *flags, **settings):
    """The fetch fails cleanly: nothing wrong is visible and no ref points to something incomplete."""
    code, answer = fetch(hub, folder, reference, *flags, **settings)
    assert code == 1, answer
    check_visible_is_right(folder, repo)
    assert not (repo_folder(folder) / "refs" / "main").exists()
    assert not list((repo_folder(folder) / "snapshots").rglob("*"))
    return answer


def test_a_healthy_hub_gives_a_complete_snapshot_with_one_request_per_file(fault_hub, repo, folder):
    answer = fetch_ok(fault_hub, folder)
    check_complete(folder, repo)
    assert answer["downloaded_bytes"] == sum(map(len, repo.files.values()))
    for path in repo.files:
        assert len(fault_hub.gets(path)) == 1
    assert len(fault_hub.log) == len(repo.files) + 2  # revision and tree


def test_a_complete_snapshot_needs_no_request(fault_hub, repo, folder):
    fetch_ok(fault_hub, folder)
    fault_hub.clear_log()
    assert fetch_ok(fault_hub, folder)["downloaded_bytes"] == 0
    assert fault_hub.log == []


def test_refresh_asks_only_for_the_commit_when_nothing_changed(fault_hub, repo, folder):
    fetch_ok(fault_hub, folder)
    fault_hub.clear_log()
    fetch_ok(fault_hub, folder, REPO, "--refresh")
    assert [seen.path for seen in fault_hub.log] == [f"/api/models/{REPO}/revision/main"]


def test_a_new_commit_fetches_only_what_is_new(fault_hub, repo, folder):
    fetch_ok(fault_hub, folder)
    fault_hub.clear_log()
    repo.commit = "f" * 40
    repo.files["config.json"] = b'{"model_type": "llama", "new": true}'
    fetch_ok(fault_hub, folder, REPO, "--refresh")
    assert [seen.path.rsplit("/", 1)[1] for seen in fault_hub.gets()] == ["config.json"]
    assert (repo_folder(folder) / "refs" / "main").read_text() == "f" * 40


def test_a_nested_revision_and_unusual_names_work(fault_hub, folder):
    files = model_files()
    files["additional_chat_templates/tool use é #1%?.jinja"] = b"{{ x }}"
    repo = fault_hub.add(REPO, files)
    fetch_ok(fault_hub, folder, f"{REPO}@refs/pr/1")
    assert (repo_folder(folder) / "refs" / "refs" / "pr" / "1").read_text() == repo.commit
    fetch_ok(fault_hub, folder)
    check_complete(folder, repo)


def test_a_listing_in_pages_is_read_to_its_end(fault_hub, repo, folder):
    repo.page_size = 3
    fetch_ok(fault_hub, folder)
    check_complete(folder, repo)


def test_a_link_that_drops_all_the_time_still_finishes_and_fetches_nothing_twice(fault_hub, repo, folder):
    fault_hub.fault(BIG, times=None, drop_after=150_000)
    fetch_ok(fault_hub, folder)
    check_complete(folder, repo)
    gets = fault_hub.gets(BIG)
    assert len(gets) >= 20
    starts = [int(seen.range.removeprefix("bytes=").rstrip("-")) for seen in gets[1:]]
    assert starts == sorted(starts) and len(set(starts)) == len(starts)


def test_a_small_file_that_breaks_is_fetched_again(fault_hub, repo, folder):
    fault_hub.fault("tokenizer.json", times=2, drop_after=1000)
    fault_hub.fault(SMALL, drop_after=1)
    fault_hub.fault(SMALL, close_without_answer=True)
    fetch_ok(fault_hub, folder)
    check_complete(folder, repo)


def test_a_server_without_ranges_starts_over_and_finishes(fault_hub, repo, folder):
    fault_hub.fault(BIG, drop_after=1_000_000)
    fault_hub.fault(BIG, no_ranges=True)
    fetch_ok(fault_hub, folder)
    check_complete(folder, repo)
    assert len(fault_hub.gets(BIG)) == 2


@pytest.mark.parametrize("path", [BIG, SMALL])
def test_one_wrong_byte_is_noticed_and_the_file_fetched_anew(fault_hub, repo, folder, path):
    fault_hub.fault(path, flip=5)
    fetch_ok(fault_hub, folder)
    check_complete(folder, repo)
    assert len(fault_hub.gets(path)) == 2


@pytest.mark.parametrize("path", [BIG, SMALL])
def test_bytes_that_stay_wrong_never_become_visible(fault_hub, repo, folder, path):
    fault_hub.fault(path, times=None, flip=5)
    answer = failed(fault_hub, folder, repo)
    assert answer["code"] == "data_loss"
    assert path in answer["error"] and fault_hub.endpoint in answer["error"]
    assert len(fault_hub.gets(path)) == 2
    assert not (repo_folder(folder) / "blobs" / repo.blob_name(path)).exists()


@pytest.mark.parametrize("path", [BIG, SMALL])
@pytest.mark.parametrize("fault", [{"short": 7}, {"grow": 7}])
def test_another_length_than_listed_is_refused(fault_hub, repo, folder, path, fault):
    fault_hub.fault(path, times=None, **fault)
    assert failed(fault_hub, folder, repo)["code"] == "data_loss"


def test_a_changed_etag_is_refused_before_the_content_is_fetched(fault_hub, repo, folder):
    fault_hub.fault(BIG, times=None, headers={"X-Linked-Etag": f'"{"0" * 64}"'})
    answer = failed(fault_hub, folder, repo)
    assert answer["code"] == "data_loss" and "other content" in answer["error"]


@pytest.mark.parametrize("headers", [{"RateLimit": '"resolvers";r=0;t=0'}, {"Retry-After": "0"}, {}])
def test_a_rate_limit_is_waited_for(fault_hub, repo, folder, headers):
    fault_hub.fault(BIG, times=1, status=429, headers=headers)
    repo.api_faults = [(429, headers)]
    fetch_ok(fault_hub, folder)
    check_complete(folder, repo)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_server_errors_are_tried_again(fault_hub, repo, folder, status):
    fault_hub.fault(BIG, times=2, status=status)
    fault_hub.fault(SMALL, times=2, status=status)
    repo.api_faults = [(status, {}), (status, {})]
    fetch_ok(fault_hub, folder)
    check_complete(folder, repo)


def test_a_server_that_stays_broken_is_given_up_and_what_arrived_is_kept(fault_hub, repo, folder):
    fault_hub.fault(BIG, drop_after=2_000_000)
    broken = fault_hub.fault(BIG, times=None, status=503)
    answer = failed(fault_hub, folder, repo)
    assert answer["code"] == "unavailable" and BIG in answer["error"]
    fault_hub.faults[BIG].remove(broken)
    fault_hub.clear_log()
    fetch_ok(fault_hub, folder)
    check_complete(folder, repo)
    (again,) = fault_hub.gets(BIG)
    assert again.sent <= len(repo.files[BIG]) - 2_000_000 + 70_000


@pytest.mark.parametrize("redirect", ["same", "cross"])
def test_redirects_are_followed(fault_hub, repo, folder, redirect):
    fault_hub.redirect = redirect
    fetch_ok(fault_hub, folder)
    check_complete(folder, repo)


def test_the_token_does_not_leave_the_hub(fault_hub, repo, folder):
    fault_hub.redirect = "cross"
    fault_hub.required_token = "hf_secret"
    fetch_ok(fault_hub, folder, HF_TOKEN="hf_secret")
    signed = [seen for seen in fault_hub.log if "sig=" in seen.path]
    assert signed and all(seen.authorization is None for seen in signed)


def test_an_expired_signed_address_is_renewed_and_the_download_continues(fault_hub, repo, folder):
    fault_hub.redirect = "cross"
    fault_hub.fault(BIG, times=3, drop_after=500_000)
    fault_hub.signature_uses = 1
    fetch_ok(fault_hub, folder)
    check_complete(folder, repo)
    assert sum(seen.sent for seen in fault_hub.gets(BIG)) <= len(repo.files[BIG]) + 3 * 70_000


def test_an_address_that_never_works_is_given_up(fault_hub, repo, folder):
    fault_hub.redirect = "cross"
    fault_hub.signature_uses = 0
    assert failed(fault_hub, folder, repo)["code"] == "permission_denied"


def test_a_gated_repository_says_what_to_do(fault_hub, repo, folder):
    fault_hub.required_token = "hf_right"
    answer = failed(fault_hub, folder, repo, HF_TOKEN="hf_wrong")
    assert answer["code"] == "permission_denied"
    assert "hf_wrong" not in json.dumps(answer)
    answer = failed(fault_hub, folder, repo)
    assert "HF_TOKEN" in answer["error"]


def test_what_does_not_exist_is_named(fault_hub, repo, folder):
    assert "no/such" in failed(fault_hub, folder, repo, "no/such")["error"]
    assert "no-such-branch" in failed(fault_hub, folder, repo, f"{REPO}@no-such-branch")["error"]
    assert failed(fault_hub, folder, repo, f"{REPO}:Q4_K_M")["code"] == "not_found"


@pytest.mark.parametrize("path", ["../../../outside", "/etc/outside", "a/../../outside", "a\\..\\..\\outside", "", "a//b",
                                  "config.json/x"])
def test_a_listing_with_a_bad_path_is_refused_as_a_whole(fault_hub, repo, folder, path):
    entries = [*repo.entries(), {"type": "file", "path": path, "size": 1, "oid": "a" * 40}]
    repo.tree_override = json.dumps(entries)
    assert failed(fault_hub, folder, repo)["code"] == "data_loss"
    assert fault_hub.gets() == []
    assert not list(folder.parent.rglob("*outside*"))


@pytest.mark.parametrize("name", ["../../../../outside", "abc", "A" * 64, "a" * 63])
def test_a_listing_with_a_bad_hash_is_refused(fault_hub, repo, folder, name):
    entries = list(repo.entries())
    for entry in entries:
        if "lfs" in entry:
            entry["lfs"]["oid"] = name
    repo.tree_override = json.dumps(entries)
    assert failed(fault_hub, folder, repo)["code"] == "data_loss"
    assert fault_hub.gets() == []


@pytest.mark.parametrize("sha", ["../../../outside", "main", "a" * 39, "A" * 40])
def test_a_bad_commit_is_refused(fault_hub, repo, folder, sha):
    repo.info_override = json.dumps({"id": REPO, "sha": sha})
    assert failed(fault_hub, folder, repo)["code"] == "data_loss"


def test_a_disk_that_is_too_full_is_noticed_before_the_first_byte(fault_hub, repo, folder):
    answer = failed(fault_hub, folder, repo, HUB_FETCH_RESERVE_BYTES=str(1 << 60))
    assert answer["code"] == "resource_exhausted" and "reserve" in answer["error"]
    assert fault_hub.gets() == []


def test_offline_uses_what_is_there_and_asks_nothing(fault_hub, repo, folder):
    assert "HF_HUB_OFFLINE" in failed(fault_hub, folder, repo, HF_HUB_OFFLINE="1")["error"]
    fetch_ok(fault_hub, folder)
    fault_hub.clear_log()
    fetch_ok(fault_hub, folder, REPO, "--refresh", HF_HUB_OFFLINE="1")
    assert fault_hub.log == []


def test_a_dead_hub_falls_back_to_the_copy_on_the_disk(fault_hub, repo, folder):
    fetch_ok(fault_hub, folder)
    repo.api_faults = [(503, {})] * 20
    fetch_ok(fault_hub, folder, REPO, "--refresh")


def test_a_broken_blob_left_by_another_program_is_replaced(fault_hub, repo, folder):
    fetch_ok(fault_hub, folder)
    blob = repo_folder(folder) / "blobs" / repo.blob_name(BIG)
    blob.write_bytes(b"too short")
    fetch_ok(fault_hub, folder)
    check_complete(folder, repo)
