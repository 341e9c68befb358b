#include "cache/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>

#include "../hub_fixture.h"
#include "base/json.h"
#include "transfer/tar_writer.h"

namespace homelab::cache {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// One member of a tar that a test makes by hand.
struct Member {
  std::string name;
  std::string content;
  unsigned type = AE_IFREG;
  std::string target = {};  ///< of links
  bool hard = false;        ///< a hard link
};

std::string tar_of(std::vector<Member> const& members) {
  std::string out;
  auto const take = [](struct archive*, void* self, void const* bytes, std::size_t count) {
    static_cast<std::string*>(self)->append(static_cast<char const*>(bytes), count);
    return static_cast<la_ssize_t>(count);
  };
  struct archive* tar = archive_write_new();
  archive_write_set_format_gnutar(tar);
  archive_write_set_bytes_per_block(tar, 0);
  archive_write_open2(tar, &out, nullptr, take, nullptr, nullptr);
  for (Member const& member : members) {
    struct archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, member.name.c_str());
    archive_entry_set_filetype(entry, member.type);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, static_cast<la_int64_t>(member.content.size()));
    if (member.type == AE_IFLNK) archive_entry_set_symlink(entry, member.target.c_str());
    if (member.hard) archive_entry_set_hardlink(entry, member.target.c_str());
    EXPECT_EQ(archive_write_header(tar, entry), ARCHIVE_OK) << archive_error_string(tar);
    if (!member.hard && !member.content.empty()) {
      EXPECT_GE(archive_write_data(tar, member.content.data(), member.content.size()), 0);
    }
    archive_entry_free(entry);
  }
  archive_write_close(tar);
  archive_write_free(tar);
  return out;
}

/// A header's fields may be bent; then its checksum must be made right again.
void bend_header(std::string& tar, std::size_t header,
                 std::vector<std::pair<std::size_t, std::string>> const& fields) {
  constexpr std::size_t kChecksum = 148;
  for (auto const& [at, text] : fields) tar.replace(header + at, text.size(), text);
  tar.replace(header + kChecksum, 8, "        ");
  unsigned sum = 0;
  for (std::size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(tar[header + i]);
  tar.replace(header + kChecksum, 7, fmt::format("{:06o}", sum) + std::string(1, '\0'));
}

/// All names below a folder with what stands there: content of files, text of links.
std::map<std::string, std::string> shape_of(Path const& folder) {
  std::map<std::string, std::string> out;
  if (!fs::exists(folder)) return out;
  for (auto const& entry : fs::recursive_directory_iterator(folder)) {
    std::string const name = entry.path().lexically_relative(folder).string();
    if (entry.is_symlink())
      out[name] = "-> " + fs::read_symlink(entry.path()).string();
    else if (entry.is_regular_file())
      out[name] = test::slurp(entry.path());
  }
  return out;
}

/// org/name with two revisions, a nested path, a shared and an empty file, a listing, an absence.
class ArchiveTest : public HubFixture {
 protected:
  ArchiveTest() {
    BlobName const config = put("{}");
    BlobName const empty = put("");
    must(put_large());
    must(writer().link_all(
        commit(), std::vector<RepoWriter::Link>{{path("config.json"), config},
                                                {path("deep/er/empty"), empty},
                                                {path("w.safetensors"), sha_name(weights_)}}));
    must(writer().link_all(
        newer(), std::vector<RepoWriter::Link>{{path("w.safetensors"), sha_name(weights_)}}));
    Tree tree;
    tree.files.push_back({path("w.safetensors"),
                          weights_.size(),
                          git_name(weights_).text(),
                          sha_name(weights_).text(),
                          {}});
    must(writer().write_tree(newer(), tree));
    must(writer().mark_absent(newer(), path("adapter_config.json")));
    must(writer().write_ref(Revision::parse("v1/old").value(), commit()));
    must(writer().write_ref(Revision::main(), newer()));
  }

  static void must(Status const& status) {
    if (!status) throw std::runtime_error(status.error().message);
  }
  static CommitHash newer() { return CommitHash::parse(std::string(40, 'd')).value(); }

  Status put_large() {
    ASSIGN_OR_RETURN(auto partial, writer().open_partial(sha_name(weights_), weights_.size()));
    RETURN_IF_ERROR(partial.append(bytes_of(weights_)));
    return writer().commit(std::move(partial));
  }

  [[nodiscard]] ExportItem item() const { return {hub(), RepoType::kModel, repo_id(), {}}; }
  [[nodiscard]] ExportPlan planned() const {
    ExportItem const one = item();
    auto plan = plan_export(std::span(&one, 1));
    if (!plan) throw std::runtime_error(plan.error().message);
    return *std::move(plan);
  }
  [[nodiscard]] Path target() const { return dir_ / "other/hub"; }
  [[nodiscard]] Path exported() const {
    Path const file = dir_ / "name.tar";
    must(export_to_file(planned(), file));
    return file;
  }
  [[nodiscard]] Result<ImportReport> import(Path const& file, bool move_refs = false,
                                            bool dry_run = false) const {
    auto const opened = os::open_file(file, O_RDONLY);
    if (!opened) return fail(opened.error());
    ImportRequest request;
    request.hub_folder = target();
    request.archive = opened->get();
    request.shown = file.string();
    request.move_refs = move_refs;
    request.dry_run = dry_run;
    return import_archive(request);
  }
  [[nodiscard]] Result<ImportReport> import_bytes(std::string_view tar) const {
    return import(dir_.write("hostile.tar", tar));
  }

  /// The true members of a small archive, for bending.
  struct Small {
    std::string blob = "content of a file";
    std::string name = git_name(blob).text();
    std::string folder = "models--a--b";
    std::string commit = std::string(40, 'e');
    json::object manifest() const {
      return {{"format", "homelab-llm cache archive"},
              {"format_version", 1},
              {"repos",
               json::array{json::object{
                   {"type", "model"},
                   {"id", "a/b"},
                   {"blobs", json::array{json::object{{"name", name},
                                                      {"size_bytes", blob.size()},
                                                      {"sha256", sha256_hex(blob)}}}},
                   {"revisions",
                    json::array{json::object{
                        {"commit", commit},
                        {"files", json::array{json::object{{"path", "sub/f"}, {"blob", name}}}},
                        {"absent", json::array{}}}}},
                   {"refs", json::array{json::object{{"name", "main"}, {"commit", commit}}}}}}}};
    }
    std::vector<Member> members() const {
      return {{std::string(kArchiveManifestPath), to_ascii_json(manifest())},
              {folder + "/blobs/" + name, blob},
              {folder + "/snapshots/" + commit + "/sub/f", "", AE_IFLNK, "../../../blobs/" + name},
              {folder + "/refs/main", commit}};
    }
  };
  /// Nothing of the archive can be seen: no link, no ref, no listing; blobs are right.
  void nothing_is_visible() const {
    for (auto const& [name, content] : shape_of(target())) {
      EXPECT_THAT(name, Not(HasSubstr("/snapshots/")));
      EXPECT_THAT(name, Not(HasSubstr("/refs/")));
      EXPECT_THAT(name, Not(HasSubstr("/trees/")));
    }
  }
  void is_refused(std::vector<Member> const& members, std::string const& words) const {
    auto const done = import_bytes(tar_of(members));
    ASSERT_FALSE(done) << "expected: " << words;
    EXPECT_EQ(done.error().code, Code::kDataLoss) << why(done);
    EXPECT_THAT(done.error().message, HasSubstr(words));
    nothing_is_visible();
  }

  std::string weights_ = std::string(700'000, 'w') + "end";
};

TEST_F(ArchiveTest, WhatComesOutIsWhatWentIn) {
  auto const report = import(exported());
  ASSERT_TRUE(report) << why(report);
  EXPECT_EQ(shape_of(target() / "models--org--name"), shape_of(repo()));
  auto const& one = report->repos.at(0);
  EXPECT_EQ(one.content_bytes, weights_.size() + 2);
  EXPECT_EQ(one.written_bytes, one.content_bytes);
  EXPECT_EQ(one.present_bytes, 0U);
  EXPECT_EQ(one.files, 4U);
}

TEST_F(ArchiveTest, TheArchiveIsExactlyAsLongAsThePlanSaysAndTheSameEveryTime) {
  auto const plan = planned();
  Path const file = exported();
  EXPECT_EQ(fs::file_size(file), plan.archive_bytes);
  std::string const first = test::slurp(file);
  EXPECT_EQ(test::slurp(exported()), first);
  EXPECT_FALSE(fs::exists(file.string() + ".homelab.part"));
}

TEST_F(ArchiveTest, AnArchiveOfAnArchivesImportIsTheSameArchive) {
  std::string const first = test::slurp(exported());
  ASSERT_TRUE(import(exported()));
  ExportItem const one{target(), RepoType::kModel, repo_id(), {}};
  auto const plan = plan_export(std::span(&one, 1));
  ASSERT_TRUE(plan) << why(plan);
  must(export_to_file(*plan, dir_ / "again.tar"));
  EXPECT_TRUE(test::slurp(dir_ / "again.tar") == first);
}

TEST_F(ArchiveTest, ImportingAgainWritesNothing) {
  ASSERT_TRUE(import(exported()));
  auto const before = shape_of(target());
  auto const again = import(exported());
  ASSERT_TRUE(again) << why(again);
  EXPECT_EQ(again->repos.at(0).written_bytes, 0U);
  EXPECT_EQ(again->repos.at(0).present_bytes, weights_.size() + 2);
  EXPECT_EQ(shape_of(target()), before);
}

TEST_F(ArchiveTest, ADryRunTellsTheBytesAndTouchesNothing) {
  auto const dry = import(exported(), false, true);
  ASSERT_TRUE(dry) << why(dry);
  EXPECT_EQ(dry->repos.at(0).written_bytes, weights_.size() + 2);
  EXPECT_FALSE(fs::exists(target()));
}

TEST_F(ArchiveTest, OnlyTheWantedRevisionAndItsRefsGo) {
  ExportItem one = item();
  one.revision = "v1/old";
  auto const plan = plan_export(std::span(&one, 1));
  ASSERT_TRUE(plan) << why(plan);
  auto const& out = plan->manifest.repos.at(0);
  ASSERT_EQ(out.revisions.size(), 1U);
  EXPECT_EQ(out.revisions[0].commit, commit());
  ASSERT_EQ(out.refs.size(), 1U);
  EXPECT_EQ(out.refs[0].name.text(), "v1/old");
  one.revision = "nowhere";
  EXPECT_EQ(plan_export(std::span(&one, 1)).error().code, Code::kNotFound);
}

TEST_F(ArchiveTest, ADatasetKeepsItsFolder) {
  fs::rename(repo(), hub() / "datasets--org--name");
  ExportItem one = item();
  one.type = RepoType::kDataset;
  auto const plan = plan_export(std::span(&one, 1));
  ASSERT_TRUE(plan) << why(plan);
  must(export_to_file(*plan, dir_ / "name.tar"));
  ASSERT_TRUE(import(dir_ / "name.tar"));
  EXPECT_EQ(shape_of(target() / "datasets--org--name"), shape_of(hub() / "datasets--org--name"));
}

TEST_F(ArchiveTest, AnInterruptedImportIsContinuedAndOnlyTheRestWritten) {
  std::string const tar = test::slurp(exported());
  auto const cut = import_bytes(std::string_view(tar).substr(0, tar.find("www") + 300'000));
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, Code::kDataLoss);
  EXPECT_THAT(cut.error().message, HasSubstr(sha_name(weights_).text()));
  nothing_is_visible();
  auto const rest = import_bytes(tar);
  ASSERT_TRUE(rest) << why(rest);
  auto const& one = rest->repos.at(0);
  EXPECT_GT(one.resumed_bytes, 0U);
  EXPECT_EQ(one.written_bytes + one.resumed_bytes + one.present_bytes, one.content_bytes);
  EXPECT_EQ(shape_of(target() / "models--org--name"), shape_of(repo()));
}

TEST_F(ArchiveTest, AnArchiveThatIsCutOffAnywhereShowsNothing) {
  std::string const tar = tar_of(Small().members());
  // Not in the last 1,536 bytes: the end mark and the padding of 40 bytes that came whole.
  for (std::size_t length = 0; length + 1536 < tar.size(); length += 256) {
    auto const done = import_bytes(std::string_view(tar).substr(0, length));
    ASSERT_FALSE(done) << length;
    EXPECT_EQ(done.error().code, Code::kDataLoss) << why(done);
    nothing_is_visible();
  }
  EXPECT_TRUE(import_bytes(tar));
}

TEST_F(ArchiveTest, AFlippedByteOfContentIsFoundAndTheMemberNamed) {
  std::string tar = test::slurp(exported());
  tar[tar.find("www") + 1000] ^= 1;
  auto const done = import_bytes(tar);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kDataLoss);
  EXPECT_THAT(done.error().message,
              HasSubstr("models--org--name/blobs/" + sha_name(weights_).text()));
  nothing_is_visible();
  EXPECT_FALSE(fs::exists(target() / "models--org--name/blobs" / sha_name(weights_).text()));
}

TEST_F(ArchiveTest, ARefThatStandsElsewhereIsMovedOnlyWhenForced) {
  ASSERT_TRUE(import(exported()));
  Path const main = target() / "models--org--name/refs/main";
  std::ofstream(main, std::ios::trunc) << commit().text();
  auto const refused = import(exported());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  EXPECT_THAT(refused.error().message, HasSubstr("main of org/name is " + commit().text()));
  EXPECT_EQ(test::slurp(main), commit().text());
  auto const forced = import(exported(), true);
  ASSERT_TRUE(forced) << why(forced);
  EXPECT_EQ(test::slurp(main), newer().text());
}

TEST_F(ArchiveTest, ADamagedBlobIsNotExported) {
  std::ofstream(repo() / "blobs" / sha_name(weights_).text(), std::ios::in) << "x";
  auto const done = export_to_file(planned(), dir_ / "name.tar");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kDataLoss);
  EXPECT_FALSE(fs::exists(dir_ / "name.tar"));
  EXPECT_FALSE(fs::exists(dir_ / "name.tar.homelab.part"));
  std::ofstream(repo() / "blobs" / git_name("{}").text()) << "[]";
  ExportItem const one = item();
  EXPECT_EQ(plan_export(std::span(&one, 1)).error().code, Code::kDataLoss);
}

TEST_F(ArchiveTest, WhatIsNoRegularFileIsNotReplaced) {
  ASSERT_EQ(::mkfifo((dir_ / "pipe").c_str(), 0600), 0);
  auto const done = export_to_file(planned(), dir_ / "pipe");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::kFailedPrecondition);
  EXPECT_TRUE(fs::is_fifo(dir_ / "pipe"));
}

TEST_F(ArchiveTest, FilesThatWereNeverDownloadedAreLeftOutAndTold) {
  fs::create_symlink("../../blobs/" + std::string(64, '0'), entry("missing.bin"));
  auto const plan = planned();
  ASSERT_EQ(plan.left_out.size(), 1U);
  EXPECT_THAT(plan.left_out[0], HasSubstr("missing.bin"));
  must(export_to_file(plan, dir_ / "name.tar"));
  EXPECT_TRUE(import(dir_ / "name.tar"));
}

TEST_F(ArchiveTest, LinksOutOfTheRepositoryAreNotExported) {
  fs::create_symlink("/etc/passwd", entry("secret"));
  ExportItem const one = item();
  auto const plan = plan_export(std::span(&one, 1));
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, Code::kFailedPrecondition);
}

TEST_F(ArchiveTest, MembersThatTheManifestDoesNotAnnounceAreRefused) {
  Small const small;
  for (Member const& extra : std::vector<Member>{
           {"/etc/cron.d/x", "x"},
           {"../x", "x"},
           {"models--a--b/../../x", "x"},
           {"models--a--b/blobs/" + std::string(64, '1'), "x"},
           {"models--a--b/refs/other", small.commit},
           {"models--a--b/snapshots/" + small.commit + "/evil", "", AE_IFLNK, "/etc/passwd"},
           {"dev", "", AE_IFCHR},
           {"pipe", "", AE_IFIFO},
           {"elsewhere/", "", AE_IFDIR},
           {"../", "", AE_IFDIR},
           {std::string(5000, 'n'), "x"}}) {
    auto members = small.members();
    members.insert(members.begin() + 1, extra);
    is_refused(members, "the manifest");
  }
}

TEST_F(ArchiveTest, AnnouncedMembersOfAnotherKindAreRefused) {
  Small const small;
  auto const bend = [&](std::size_t index, Member member, std::string const& words) {
    auto members = small.members();
    member.name = members[index].name;
    members[index] = std::move(member);
    is_refused(members, words);
  };
  bend(1, {"", "", AE_IFLNK, "/etc/passwd"}, "is a link instead of a file");
  bend(1, {"", "", AE_IFCHR}, "is a device");
  bend(1, {"", "", AE_IFIFO}, "is a named pipe");
  bend(1, {"", "", AE_IFREG, "/etc/passwd", true}, "is a hard link");
  bend(1, {"", "", AE_IFDIR}, "is a folder");
  bend(1, {"", "short"}, "has 5 bytes");
  bend(1, {"", "content of A file"}, "another hash");
  bend(2, {"", "x"}, "is a file instead of a link");
  bend(2, {"", "", AE_IFLNK, "../../../../../../etc/passwd"}, "leads to");
  bend(3, {"", std::string(40, 'f')}, "does not hold the commit");
  bend(3, {"", "e"}, "has 1 bytes");
}

TEST_F(ArchiveTest, AMemberThatComesTwiceIsRefused) {
  for (std::size_t index = 1; index < 4; ++index) {
    auto members = Small().members();
    members.push_back(members[index]);
    is_refused(members, "comes twice");
  }
}

TEST_F(ArchiveTest, AMissingMemberIsNamed) {
  for (std::size_t index = 1; index < 4; ++index) {
    auto members = Small().members();
    std::string const name = members[index].name;
    members.erase(members.begin() + static_cast<std::ptrdiff_t>(index));
    is_refused(members, name + " is missing");
  }
}

TEST_F(ArchiveTest, APlantedLinkInTheTargetLeadsNothingOutside) {
  Path const outside = dir_ / "outside";
  fs::create_directories(outside);
  for (auto const* room : {"blobs", "snapshots", "refs"}) {
    fs::remove_all(target());
    fs::create_directories(target() / "models--a--b");
    fs::create_symlink(outside, target() / "models--a--b" / room);
    EXPECT_FALSE(import_bytes(tar_of(Small().members()))) << room;
    EXPECT_TRUE(fs::is_empty(outside)) << room;
  }
}

TEST_F(ArchiveTest, TheManifestComesFirst) {
  auto members = Small().members();
  std::swap(members[0], members[1]);
  is_refused(members, "its first member is models--a--b/blobs/");
  is_refused({}, "");
  auto const text = import_bytes("this is no tar at all, but a letter to a friend");
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().code, Code::kDataLoss);
}

TEST_F(ArchiveTest, ALyingSizeIsNoBomb) {
  constexpr std::size_t kSize = 124;
  std::string const tar = tar_of(Small().members());
  std::string bomb = tar;
  bend_header(bomb, 0, {{kSize, "77777777777"}});
  auto const manifest = import_bytes(bomb);
  ASSERT_FALSE(manifest);
  EXPECT_THAT(manifest.error().message, HasSubstr("longer than"));
  bomb = tar;
  bend_header(bomb, tar.find(Small().members()[1].name + std::string(1, '\0')),
              {{kSize, "77777777777"}});
  auto const blob = import_bytes(bomb);
  ASSERT_FALSE(blob);
  EXPECT_THAT(blob.error().message, HasSubstr("has 8589934591 bytes"));
  nothing_is_visible();
}

/// GNU tar's old form: a few bytes in the archive, and a map that puts them anywhere.
TEST_F(ArchiveTest, ASparseFileIsRefused) {
  constexpr std::size_t kType = 156, kOffset = 386, kLength = 398, kRealSize = 483;
  auto const members = Small().members();
  std::string const tar = tar_of(members);
  std::size_t const header = tar.find(members[1].name + std::string(1, '\0'));
  for (std::string const offset : {"00000000000", "77777770000"}) {
    std::string bent = tar;
    bend_header(bent, header,
                {{kType, "S"},
                 {kOffset, offset},
                 {kLength, fmt::format("{:011o}", members[1].content.size())},
                 {kRealSize, "77777777777"}});
    auto const done = import_bytes(bent);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Code::kDataLoss) << why(done);
    nothing_is_visible();
  }
}

class ManifestTest : public ArchiveTest {
 protected:
  /// The small manifest with one value changed.
  static void is_malformed(std::function<void(json::object& repo)> const& change,
                           std::string const& words) {
    json::object manifest = Small().manifest();
    change(manifest["repos"].as_array()[0].as_object());
    auto const parsed = parse_archive_json(to_ascii_json(manifest));
    ASSERT_FALSE(parsed) << words;
    EXPECT_EQ(parsed.error().code, Code::kDataLoss);
    EXPECT_THAT(parsed.error().message, HasSubstr(words));
  }
  static std::string hex_zeros() { return std::string(64, '0'); }
  static json::object& revision(json::object& repo) {
    return repo["revisions"].as_array()[0].as_object();
  }
  static json::object file(std::string_view path) {
    return {{"path", path}, {"blob", Small().name}};
  }
};

TEST_F(ManifestTest, ReadsBackWhatItWrote) {
  auto const manifest = planned().manifest;
  auto const again = parse_archive_json(to_archive_json(manifest));
  ASSERT_TRUE(again) << why(again);
  EXPECT_TRUE(*again == manifest);
}

TEST_F(ManifestTest, RefusesNamesThatLeadElsewhere) {
  for (auto const* path : {"/etc/passwd", "../x", "a/../../x", "a//b", "", "a\\..\\x", "a\nb"})
    is_malformed([&](json::object& repo) { revision(repo)["files"] = json::array{file(path)}; },
                 "not valid");
  is_malformed([](json::object& repo) { repo["id"] = "../../x"; }, "not valid");
  is_malformed([](json::object& repo) { repo["id"] = "a/b/c"; }, "not valid");
  is_malformed([](json::object& repo) { repo["type"] = "models--x/../.."; }, "no known type");
  is_malformed(
      [](json::object& repo) { repo["refs"].as_array()[0].as_object()["name"] = "../../x"; },
      "not valid");
  is_malformed([](json::object& repo) { revision(repo)["absent"] = json::array{"../x"}; },
               "not valid");
  is_malformed([](json::object& repo) { revision(repo)["commit"] = "main"; }, "not valid");
}

TEST_F(ManifestTest, RefusesWhatContradictsItself) {
  is_malformed(
      [](json::object& repo) { revision(repo)["files"] = json::array{file("a"), file("a")}; },
      "twice");
  is_malformed(
      [](json::object& repo) { revision(repo)["files"] = json::array{file("a"), file("a/b")}; },
      "twice");
  is_malformed(
      [](json::object& repo) { revision(repo)["files"] = json::array{file("a/b"), file("a")}; },
      "twice");
  is_malformed([](json::object& repo) { revision(repo)["absent"] = json::array{"sub/f"}; },
               "absent");
  is_malformed([](json::object& repo) { revision(repo)["files"] = json::array{}; }, "no files");
  is_malformed([](json::object& repo) { repo["blobs"] = json::array{}; }, "there is no blob");
  is_malformed(
      [](json::object& repo) {
        auto blob = repo["blobs"].as_array()[0].as_object();
        blob["name"] = std::string(64, '2');
        blob["sha256"] = std::string(64, '2');
        repo["blobs"].as_array().push_back(blob);
      },
      "belongs to no file");
  is_malformed(
      [](json::object& repo) { repo["blobs"].as_array().push_back(repo["blobs"].as_array()[0]); },
      "twice");
  is_malformed(
      [](json::object& repo) {
        repo["refs"].as_array()[0].as_object()["commit"] = std::string(40, '3');
      },
      "names no revision");
  for (std::int64_t const size : {std::int64_t{-1}, std::int64_t{1} << 62})
    is_malformed(
        [&](json::object& repo) { repo["blobs"].as_array()[0].as_object()["size_bytes"] = size; },
        "no possible size");
}

TEST_F(ManifestTest, RefusesMoreThanAnyoneHas) {
  json::array absent;
  for (std::size_t i = 0; i < kMaxArchiveMembers; ++i) absent.emplace_back(fmt::format("a{}", i));
  is_malformed([&](json::object& repo) { revision(repo)["absent"] = absent; }, "more than");
  is_malformed(
      [](json::object& repo) {
        revision(repo)["listing"] =
            json::object{{"size_bytes", kMaxArchiveListingBytes + 1}, {"sha256", hex_zeros()}};
      },
      "listings are too long");
}

TEST_F(ManifestTest, ANewerFormatIsSaidToBeNewer) {
  json::object manifest = Small().manifest();
  manifest["format_version"] = 2;
  EXPECT_EQ(parse_archive_json(to_ascii_json(manifest)).error().code, Code::kUnimplemented);
}

TEST(TarWriterTest, AFileThatIsNotWrittenToItsEndCostsNothing) {
  constexpr std::uint64_t kHuge = std::uint64_t{1} << 40;
  // Asks for the header of such a file; the rest of it must not be made up anywhere.
  EXPECT_EQ(tar_file_bytes("a", kHuge).value(), kHuge + 512);
}

}  // namespace
}  // namespace homelab::cache
