"""Process start to first healthy /health, and idle memory of the server."""

import statistics
import time

import common


def main():
    starts, resident = [], []
    for _ in range(15):
        with common.running_server() as (_, process, _, seconds):
            starts.append(seconds * 1000)
            time.sleep(0.3)
            resident.append(common.resident_mb(process.pid))
    table = common.Table("server alone (min / median / max of 15)")
    table.add("start to /health, ms", common.spread(starts), goal="<= 30", reached=statistics.median(starts) <= 30)
    table.add("idle resident, MB", common.spread(resident), goal="<= 20", reached=statistics.median(resident) <= 20)
    table.show()


if __name__ == "__main__":
    main()
