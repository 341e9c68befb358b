#include "remembered.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "../verify/own_folder.h"
#include "bytes.h"

namespace homelab::cache::index {
namespace {

/// From this many looks on, opening a folder costs less than walking to it for each.
constexpr std::size_t kWorthOpening = 4;

/// Where the names of a folder are looked up: an open folder and the way from there.
struct Place {
  os::UniqueFd own;
  int fd = -1;
  std::string way;  ///< empty, or ends with '/'
};

std::string name_of_index(ScanDepth depth) {
  return (depth == ScanDepth::kSizes ? "sizes-" : "uses-") + std::to_string(::geteuid());
}

}  // namespace

/// One look at everything that a record names.
class Recall {
 public:
  Recall(Remembered& memory, RepoScan& out) : memory_(memory), out_(out) {}

  /// False: something is not as it was.
  bool look(Record& record, std::string const& repo) {
    places_.push_back({{}, memory_.hub_.folder.get(), {}});
    for (auto& folder : record.folders) {
      // places_[0] is the hub folder, places_[n] the folder of depth n - 1 that is being looked at.
      places_.resize(folder.depth + 1);
      if (!enter(folder.depth == 0 ? repo : folder.name, folder.files.size())) return false;
      if (folder.files.size() >= kWorthOpening && out_.blobs.empty())
        out_.blobs.reserve(folder.files.size());
      for (auto& file : folder.files)
        if (!add(file)) return false;
    }
    return facts_ == record.facts;
  }

 private:
  bool enter(std::string const& name, std::size_t files) {
    Place const& parent = places_.back();
    std::string way = parent.way + name;
    Place here{{}, parent.fd, {}};
    struct stat found{};
    if (files >= kWorthOpening || places_.size() == 1) {
      here.own = os::UniqueFd(
          ::openat(parent.fd, way.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!here.own || ::fstat(here.own.get(), &found) != 0) return false;
      here.fd = here.own.get();
    } else {
      if (!scan::look_at(parent.fd, way.c_str(), found)) return false;
      here.way = std::move(way);
      here.way += '/';
    }
    facts_ = mix(facts_, facts_of(found));
    places_.push_back(std::move(here));
    return true;
  }

  bool add(Record::File& file) {
    Place const& here = places_.back();
    struct stat found{};
    bool const stored = file.kind == WatchKind::kStored;
    if (stored) {
      std::string const way = file.payload.substr(0, 2) + "/" + file.payload;
      if (!memory_.is_shelf(file.payload) ||
          !scan::look_at(memory_.hub_.store.get(), way.c_str(), found))
        return false;
    } else if (here.way.empty()) {
      if (!scan::look_at(here.fd, file.name.c_str(), found)) return false;
    } else if (!scan::look_at(here.fd, (here.way + file.name).c_str(), found)) {
      return false;
    }
    facts_ = mix(facts_, facts_of(found));
    if (file.kind == WatchKind::kPlain)
      out_.plain_accessed_ns = std::max(out_.plain_accessed_ns, scan::to_ns(found.st_atim));
    if (stored || file.kind == WatchKind::kBlob) add_blob(std::move(file), found);
    return true;
  }

  void add_blob(Record::File&& file, struct stat const& found) {
    BlobFacts& facts = out_.blobs.emplace_back(scan::blob_facts(std::move(file.name), found));
    facts.in_shared_store = file.kind == WatchKind::kStored;
    facts.entries = file.entries;
  }

  Remembered& memory_;
  RepoScan& out_;
  std::vector<Place> places_;
  std::uint64_t facts_ = 0;
};

Remembered::Remembered(scan::HubPlace const& hub)
    : hub_(hub), name_(name_of_index(hub.depth)), shelf_{} {
  auto const folder = open_folder(own_folder(hub.path) / "index");
  if (!folder) return;
  old_ = IndexFile::open(*folder, name_);
  if (old_) used_.assign(old_->table().size(), 0);
}

std::optional<RepoScan> Remembered::recall(std::string const& repo) {
  if (!old_) return std::nullopt;
  auto const at = old_->find(repo);
  if (!at) return std::nullopt;
  auto const bytes = old_->read(*at);
  auto record = bytes ? parse_record(*bytes) : std::nullopt;
  RepoScan out;
  if (!record || !Recall(*this, out).look(*record, repo)) return std::nullopt;
  out.other_disk_bytes = record->other_disk_bytes;
  out.link_disk_bytes = record->link_disk_bytes;
  out.plain_bytes = record->plain_bytes;
  out.complete = record->complete;
  for (auto& revision : record->revisions)
    out.revisions.push_back({std::move(revision.commit),
                             std::move(revision.refs),
                             {},
                             revision.files,
                             revision.modified_ns});
  used_[*at] = 1;
  return out;
}

void Remembered::begin() {
  std::call_once(once_, [this] {
    // A look by somebody else (root, mostly) must not leave folders that the owner cannot write.
    struct stat hub{};
    if (::fstat(hub_.folder.get(), &hub) != 0 || hub.st_uid != ::geteuid()) return;
    auto folder = make_own_folder(hub_.path, {"index"});
    if (!folder) return;
    if (auto writer = IndexWriter::begin(std::move(*folder), name_))
      writer_.emplace(std::move(*writer));
  });
}

void Remembered::keep(std::string const& repo, Watch&& watch, RepoScan const& scan) {
  std::uint64_t device = 0;
  std::int64_t began_ns = 0;
  {
    std::lock_guard const guard(mutex_);
    if (!writer_) return;
    device = writer_->device();
    began_ns = writer_->began_ns();
  }
  auto const record = std::move(watch).record(scan, device, began_ns);
  if (!record) return;
  std::string const bytes = to_bytes(*record);
  std::lock_guard const guard(mutex_);
  if (writer_ && !writer_->add(repo, bytes)) writer_.reset();
}

void Remembered::finish() {
  std::lock_guard const guard(mutex_);
  if (!writer_) return;
  bool good = writer_->size() > 0;
  for (std::size_t i = 0; good && i < used_.size(); ++i) {
    if (used_[i] == 0) continue;
    auto const bytes = old_->read(i);
    good = !bytes || writer_->add(old_->table()[i].name, *bytes);
  }
  if (good) static_cast<void>(writer_->commit());
  writer_.reset();
}

bool Remembered::is_shelf(std::string_view payload) {
  if (!hub_.store) return false;
  std::string const name(payload.substr(0, 2));
  auto& known = shelf_[std::stoul(name, nullptr, 16)];
  char answer = known.load(std::memory_order_relaxed);
  if (answer == 0) {
    struct stat found{};
    bool const is = scan::look_at(hub_.store.get(), name.c_str(), found) && S_ISDIR(found.st_mode);
    answer = is ? 'y' : 'n';
    known.store(answer, std::memory_order_relaxed);
  }
  return answer == 'y';
}

}  // namespace homelab::cache::index
