#include "care/download.h"

namespace homelab::care {
namespace {

std::string label_of(hub::Progress::Stage stage, std::string const& repo) {
  switch (stage) {
    case hub::Progress::Stage::kListing:
      return "Asking the Hub about " + repo;
    case hub::Progress::Stage::kWaitingForLock:
      return "Waiting for another download of " + repo;
    case hub::Progress::Stage::kVerifying:
      return "Verifying " + repo;
    case hub::Progress::Stage::kDownloading:
    case hub::Progress::Stage::kDone:
      break;
  }
  return "Downloading " + repo;
}

}  // namespace

Progress progress_of(hub::Progress const& download, std::string const& repo) {
  return {label_of(download.stage, repo), download.present_bytes + download.downloaded_bytes,
          download.total_bytes,           download.downloaded_bytes,
          download.finished_files,        download.total_files};
}

void show_download(Work const& work, hub::Progress const& download, std::string const& repo) {
  if (download.stage != hub::Progress::Stage::kDone) work.on_progress(progress_of(download, repo));
}

}  // namespace homelab::care
