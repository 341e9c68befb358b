#include "base/os/shared_library.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace homelab {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(SharedLibrary, GivesItsFunctionsByName) {
  SharedLibrary const library("libm.so.6", "libc6");
  double (*larger)(double, double) = nullptr;
  library.find("fmax", larger);
  EXPECT_EQ(larger(2, 3), 3);
}

TEST(SharedLibrary, ThatIsNotThereSaysWhichPackageBringsIt) {
  EXPECT_THAT(
      [] { SharedLibrary("libnowhere.so.7", "libnowhere7"); },
      ThrowsMessage<std::runtime_error>(AllOf(HasSubstr("libnowhere.so.7 cannot be loaded"),
                                              HasSubstr("install the package libnowhere7"))));
}

TEST(SharedLibrary, ThatLacksAFunctionNamesIt) {
  SharedLibrary const library("libm.so.6", "libc6");
  int (*missing)() = nullptr;
  EXPECT_THAT([&] { library.find("no_such_function", missing); },
              ThrowsMessage<std::runtime_error>(AllOf(
                  HasSubstr("libm.so.6 has no function no_such_function"), HasSubstr("libc6"))));
}

}  // namespace
}  // namespace homelab
