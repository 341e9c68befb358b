// A model whose load failed is left alone for a while: every dialect says for how long.
#include <gtest/gtest.h>

#include "fakes.h"

namespace homelab::api {
namespace {

using test::ApiFixture;

struct Route {
  char const* path;
  char const* body;
};

class RetryAfter : public testing::TestWithParam<Route> {};

TEST_P(RetryAfter, comes_with_the_refusal) {
  ApiFixture api;
  api.add_row("m", "org/m");
  api.engines.loaded_name = "other";
  api.engines.load_error = Error{Code::kUnavailable, "left alone for 5 s"};
  api.engines.wait = std::chrono::seconds(5);
  api.send("POST", GetParam().path, GetParam().body);
  if (!api.pending->response)  // the fake's generation waits for its end
    api.engines.generation.on_done(fail(*api.engines.load_error));
  ASSERT_TRUE(api.pending->response);
  EXPECT_EQ(api.pending->response->status, 503);
  EXPECT_EQ(api.pending->response->headers.find("retry-after"), "5");
}

TEST_P(RetryAfter, is_not_there_when_nothing_has_to_rest) {
  ApiFixture api;
  api.add_row("m", "org/m");
  api.engines.loaded_name = "other";
  api.engines.load_error = Error{Code::kResourceExhausted, "too many requests"};
  api.send("POST", GetParam().path, GetParam().body);
  if (!api.pending->response) api.engines.generation.on_done(fail(*api.engines.load_error));
  ASSERT_TRUE(api.pending->response);
  EXPECT_EQ(api.pending->response->status, 503);
  EXPECT_FALSE(api.pending->response->headers.find("retry-after"));
}

INSTANTIATE_TEST_SUITE_P(
    Dialects, RetryAfter,
    testing::Values(Route{"/v1/chat/completions", R"({"model":"m"})"},
                    Route{"/v1/messages", R"({"model":"m","stream":true})"},
                    Route{"/ollama/api/chat",
                          R"({"model":"m","messages":[{"role":"user","content":"Hi"}]})"},
                    Route{"/ollama/api/generate", R"({"model":"m","prompt":"Hi","stream":false})"},
                    Route{"/ollama/api/generate", R"({"model":"m"})"},
                    Route{"/ollama/api/embed", R"({"model":"m","input":"Hi"})"},
                    Route{"/api/generate", R"({"model":"m","prompt":"Hi"})"},
                    Route{"/api/generate/stream", R"({"model":"m","prompt":"Hi"})"}));

}  // namespace
}  // namespace homelab::api
