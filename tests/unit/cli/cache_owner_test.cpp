#include "cache_owner.h"

#include <gtest/gtest.h>

namespace homelab::cli {
namespace {

TEST(CacheOwnerTest, only_a_map_of_every_id_to_itself_is_one_of_the_hosts_own_ids) {
  EXPECT_TRUE(maps_every_id("         0          0 4294967295\n"));
  EXPECT_FALSE(maps_every_id("         0       1000          1\n")) << "rootless";
  EXPECT_FALSE(maps_every_id("         0     100000      65536\n")) << "userns-remap";
  EXPECT_FALSE(maps_every_id("0 1000 1\n1 100000 65536\n"));
  EXPECT_FALSE(maps_every_id("")) << "nothing known";
}

TEST(CacheOwnerTest, what_was_done_is_said_with_the_folder_that_asked_for_it) {
  EXPECT_EQ(describe(CacheOwner{1000, 100, "/root/.cache/huggingface"}),
            "running as uid 1000, gid 100, the owner of /root/.cache/huggingface: it was started "
            "as root in a container");
}

}  // namespace
}  // namespace homelab::cli
