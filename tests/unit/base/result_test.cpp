#include "base/result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <set>

namespace homelab {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return fail(Code::kInvalidArgument, "odd");
  return number / 2;
}

Result<int> quarter(int number) {
  ASSIGN_OR_RETURN(int const first, half(number));
  ASSIGN_OR_RETURN(int const second, half(first));
  return second;
}

Status check(int number) {
  RETURN_IF_ERROR(half(number));
  return {};
}

TEST(Result, MacrosPassValuesAndErrorsOn) {
  EXPECT_EQ(quarter(8), 2);
  EXPECT_EQ(quarter(6).error(), (Error{Code::kInvalidArgument, "odd"}));
  EXPECT_TRUE(check(2));
  EXPECT_EQ(check(3).error().message, "odd");
}

TEST(Result, ContextIsAddedOutside) {
  EXPECT_EQ(Error({Code::kNotFound, "no such file"}).in("open blob").in("load phi-2").message,
            "load phi-2: open blob: no such file");
}

TEST(Result, EveryCodeHasItsOwnWord) {
  std::set<std::string_view> words;
  for (int code = 0; code <= static_cast<int>(Code::kInternal); ++code)
    words.insert(to_string(static_cast<Code>(code)));
  EXPECT_EQ(words.size(), static_cast<std::size_t>(Code::kInternal) + 1);
}

TEST(Result, SystemErrorsGetTheCodeThatFits) {
  EXPECT_EQ(fail_errno("open", "/x", ENOENT).value(),
            (Error{Code::kNotFound, "open /x: No such file or directory"}));
  EXPECT_EQ(fail_errno("open", "/x", EACCES).value().code, Code::kPermissionDenied);
  EXPECT_EQ(fail_errno("open", "/x", EROFS).value().code, Code::kPermissionDenied);
  EXPECT_EQ(fail_errno("write", "/x", ENOSPC).value().code, Code::kResourceExhausted);
  EXPECT_EQ(fail_errno("write", "/x", EDQUOT).value().code, Code::kResourceExhausted);
  EXPECT_EQ(fail_errno("make", "/x", EEXIST).value().code, Code::kAlreadyExists);
  EXPECT_EQ(fail_errno("read", "/x", EIO).value().code, Code::kUnavailable);
}

}  // namespace
}  // namespace homelab
