"""What holds for all routes (contract §2.0), and the page."""

import pytest


def test_unknown_paths_are_404_in_the_common_shape(house):
    for path in ["/nowhere", "/api", "/api/nothing", "/api/models/a/b/c"]:
        answer = house.http.get(path)
        assert (answer.status_code, answer.text) == (404, '{"detail":"Not Found"}'), path


@pytest.mark.parametrize("method,path,allowed", [
    ("PUT", "/api/models/anything", "DELETE"), ("PUT", "/api/models", "POST"), ("DELETE", "/health", "GET"),
    ("GET", "/api/generate", "POST"), ("HEAD", "/api/models", "GET")])
def test_wrong_methods_are_405_with_what_is_allowed(house, method, path, allowed):
    answer = house.http.request(method, path)
    assert answer.status_code == 405
    assert allowed in answer.headers["allow"].split(", ")
    if method != "HEAD":
        assert answer.text == '{"detail":"Method Not Allowed"}'


def test_a_trailing_slash_redirects_to_the_path_without_it(house):
    answer = house.http.get("/api/models/", follow_redirects=False)
    assert answer.status_code == 307
    assert answer.headers["location"].endswith("/api/models")
    body = {"model_name": house.fresh_name(), "hf_path": "a/b"}
    assert house.http.post("/api/models/", json=body, follow_redirects=True).status_code == 201


def test_simple_requests_from_other_origins_are_allowed(house):
    answer = house.http.get("/api/status", headers={"origin": "http://elsewhere.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "access-control-allow-origin" not in house.http.get("/api/status").headers
    failed = house.http.get("/nowhere", headers={"origin": "http://elsewhere.example"})
    assert failed.headers["access-control-allow-origin"] == "*"


def test_preflight(house):
    answer = house.http.options("/api/models/x", headers={
        "origin": "http://elsewhere.example", "access-control-request-method": "DELETE",
        "access-control-request-headers": "content-type,x-own"})
    assert (answer.status_code, answer.text) == (200, "OK")
    assert answer.headers["access-control-allow-origin"] == "http://elsewhere.example"
    assert answer.headers["access-control-allow-methods"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    assert answer.headers["access-control-allow-headers"] == "content-type,x-own"
    assert answer.headers["access-control-max-age"] == "600"


def test_answers_are_compact_json_in_utf8(house):
    name = house.register(model_name="Käse 模型")["model_name"]
    answer = house.http.get("/api/models")
    assert answer.headers["content-type"] == "application/json"
    assert name.encode() in answer.content
    assert b'": ' not in answer.content and b", " not in answer.content.replace(name.encode(), b"")


def test_the_page_and_its_files_come_from_the_server(house):
    page = house.http.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert house.http.get("/", headers={"if-none-match": page.headers["etag"]}).status_code == 304
    for name in ["app.js", "api.js", "style.css", "icon.svg"]:
        assert f"/static/{name}" in page.text or name == "api.js"
        assert house.http.get(f"/static/{name}").status_code == 200
    assert house.http.get("/static/app.js").headers["content-type"].startswith("text/javascript")
    assert house.http.get("/static/%2e%2e%2fmodels.db").status_code == 404


def test_docs_and_openapi_describe_the_routes(house):
    docs = house.http.get("/docs").text
    paths = house.http.get("/openapi.json").json()["paths"]
    for path in ["/api/models", "/api/orchestrate/load", "/api/generate/stream", "/v1/chat/completions", "/health"]:
        assert path in docs and path in paths


def test_a_body_above_the_limit_is_413(house):
    assert house.http.post("/api/models", content=b"x" * (2 << 20)).status_code == 413
