"""What holds for all routes (contract §2.0), and the page."""

import socket

import pytest
from contract_house import House


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


def test_a_page_of_another_origin_may_neither_read_nor_change(house):
    # The original let every page in: one that a user merely visited could read the list of models and delete them.
    answer = house.http.get("/api/status", headers={"origin": "http://elsewhere.example"})
    assert answer.status_code == 200 and "access-control-allow-origin" not in answer.headers
    assert answer.headers["vary"] == "Origin"
    answer = house.http.post("/api/config/logging", json={"enable": True},
                             headers={"origin": "http://elsewhere.example"})
    assert answer.status_code == 403
    assert "HOMELAB_LLM_CORS_ORIGINS=http://elsewhere.example" in answer.json()["detail"]
    answer = house.http.options("/api/models/x", headers={
        "origin": "http://elsewhere.example", "access-control-request-method": "DELETE"})
    assert (answer.status_code, answer.text) == (400, "Disallowed CORS origin")
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origin", ["http://localhost:3000", "https://127.0.0.1:8443"])
def test_pages_of_this_machine_and_programs_without_a_page_may(house, origin):
    for headers in [{"origin": origin}, {}]:
        answer = house.http.post("/api/config/logging", json={"enable": True}, headers=headers)
        assert answer.status_code == 200
        assert answer.headers.get("access-control-allow-origin") == headers.get("origin")


def test_preflight(house):
    answer = house.http.options("/api/models/x", headers={
        "origin": "http://localhost:3000", "access-control-request-method": "DELETE",
        "access-control-request-headers": "content-type,x-own"})
    assert (answer.status_code, answer.text) == (200, "OK")
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert answer.headers["access-control-allow-methods"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    assert answer.headers["access-control-allow-headers"] == "content-type,x-own"
    assert answer.headers["access-control-max-age"] == "600"


@pytest.fixture(scope="module")
def open_house(tmp_path_factory):
    made = House(tmp_path_factory.mktemp("open"), HOMELAB_LLM_CORS_ORIGINS="*", HOMELAB_LLM_ALLOWED_HOSTS="llm.example")
    yield made
    made.http.close()
    assert made.server.stop() == 0


def test_with_every_origin_allowed_the_fields_are_the_original_s(open_house):
    answer = open_house.http.get("/api/status", headers={"origin": "http://elsewhere.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "access-control-allow-origin" not in open_house.http.get("/api/status").headers
    failed = open_house.http.get("/nowhere", headers={"origin": "http://elsewhere.example"})
    assert failed.headers["access-control-allow-origin"] == "*"
    answer = open_house.http.options("/api/models/x", headers={
        "origin": "http://elsewhere.example", "access-control-request-method": "DELETE"})
    assert answer.headers["access-control-allow-origin"] == "http://elsewhere.example"


def test_a_name_that_is_not_the_server_s_is_refused_with_the_setting_that_allows_it(house, open_house):
    answer = house.http.get("/api/models", headers={"host": "llm.example:8000"})
    assert answer.status_code == 403 and "HOMELAB_LLM_ALLOWED_HOSTS=llm.example" in answer.json()["detail"]
    answer = house.http.get("/v1/models", headers={"host": "llm.example:8000"})
    assert answer.status_code == 403 and "HOMELAB_LLM_ALLOWED_HOSTS" in answer.json()["error"]["message"]
    assert house.http.get("/health", headers={"host": "llm.example"}).status_code == 200
    assert open_house.http.get("/api/models", headers={"host": "llm.example"}).status_code == 200
    assert open_house.http.get("/api/models", headers={"host": "other.example"}).status_code == 403


def test_a_refused_request_is_answered_before_its_body_is_sent(house):
    with socket.create_connection(("127.0.0.1", house.server.port), timeout=60) as connection:
        connection.sendall(b"POST /api/models HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 500000\r\n"
                           b"Expect: 100-continue\r\n\r\n")
        assert connection.recv(64).startswith(b"HTTP/1.1 403 ")


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
